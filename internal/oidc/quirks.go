package oidc

import "strings"

// A quirk is a deviation of one provider from the specifications that this package
// supports. No option adds further deviations. The zero value is no deviation.
type quirk struct {
	// tokenIssuers are accepted as iss beside the issuer itself.
	tokenIssuers []string
	// logoutParameter replaces the name post_logout_redirect_uri at the end_session
	// endpoint.
	logoutParameter string
}

func quirkOf(issuer string) quirk {
	switch {
	case issuer == "https://accounts.google.com":
		// https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
		return quirk{tokenIssuers: []string{"accounts.google.com"}}
	case strings.HasPrefix(issuer, "https://cognito-idp.") && strings.Contains(issuer, ".amazonaws.com/"):
		// https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
		return quirk{logoutParameter: "logout_uri"}
	}
	return quirk{}
}

// tenantPlace is the placeholder in the issuer of Entra's discovery documents for many
// tenants. The tid of each token takes its place
// (https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer).
const tenantPlace = "{tenantid}"

// isTenantTemplate reports whether issuer, the configured one, is the template with
// one path segment in the place of the tenant.
func isTenantTemplate(template, issuer string) bool {
	before, after, ok := strings.Cut(template, "/"+tenantPlace+"/")
	if !ok || !strings.HasPrefix(issuer, before+"/") || !strings.HasSuffix(issuer, "/"+after) {
		return false
	}
	rest := issuer[len(before)+1:]
	return strings.Index(rest, "/") == len(rest)-len(after)-1
}

func tenantIssuer(template, tenant string) string {
	return strings.Replace(template, tenantPlace, tenant, 1)
}

// isTenant reports whether tid is a GUID.
func isTenant(tid string) bool {
	return len(tid) == 36 && strings.Count(tid, "-") == 4 && strings.Trim(tid, "0123456789abcdefABCDEF-") == ""
}

// alwaysRequested reports whether a scope is requested even if scopes_supported does
// not list it: openid, and the scopes of resources, which are URIs and never listed.
func alwaysRequested(scope string) bool {
	return scope == "openid" || strings.Contains(scope, "://")
}

package oidc

import "strings"

// A quirk is how one provider differs from the specifications, in what this
// package must know to work with it. Nothing else may be configured to differ.
type quirk struct {
	// tokenIssuers are found in iss beside the issuer itself.
	tokenIssuers []string
	// logoutParameter names post_logout_redirect_uri at the end_session endpoint.
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

// tenantPlace stands in the issuer of Entra's discovery documents for many
// tenants, and for the tid of each token
// (https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer).
const tenantPlace = "{tenantid}"

// isTenantTemplate tells whether the template, with one path segment in the
// place of the tenant, is the configured issuer.
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

// isTenant takes a GUID.
func isTenant(tid string) bool {
	return len(tid) == 36 && strings.Count(tid, "-") == 4 && strings.Trim(tid, "0123456789abcdefABCDEF-") == ""
}

// alwaysAsked tells whether a scope is asked for although scopes_supported does
// not name it: openid, and the scopes of resources, which are URIs and listed
// nowhere.
func alwaysAsked(scope string) bool {
	return scope == "openid" || strings.Contains(scope, "://")
}

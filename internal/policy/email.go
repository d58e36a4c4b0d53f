package policy

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// domainOf is the domain of an e-mail address in lower case, or empty for
// anything that is not exactly one local part, one @ and one domain. A domain
// with other than ASCII letters stays as it is, so that no look-alike matches.
func domainOf(address string) string {
	local, domain, found := strings.Cut(address, "@")
	if !found || local == "" || strings.Contains(domain, "@") || strings.ContainsAny(address, unprintable) {
		return ""
	}
	return lower(domain)
}

// verified reports whether the person's e-mail address may count. Providers send
// email_verified as a boolean or as its name; any other value is a no.
func (r *Rules) verified(c oidc.Claims) bool {
	v := c["email_verified"]
	if r.EmailVerified == "ignore" {
		return true
	}
	if v == nil {
		return r.EmailVerified == "deny"
	}
	if s, ok := v.(string); ok {
		return strings.EqualFold(s, "true")
	}
	b, _ := v.(bool)
	return b
}

func lowerRune(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// lower maps the ASCII capitals alone.
func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return strings.Map(lowerRune, s)
}

package policy

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// domainOf returns the domain of an e-mail address in lower case; empty: address is not
// exactly one local part, one @ and one domain. Letters beyond ASCII are not lowered,
// so that no look-alike matches.
func domainOf(address string) string {
	local, domain, found := strings.Cut(address, "@")
	if !found || local == "" || strings.Contains(domain, "@") || strings.ContainsAny(address, unprintable) {
		return ""
	}
	return lower(domain)
}

// verified reports whether the rules may use the user's e-mail address. Providers send
// email_verified as a boolean or as a string; only true and "true" verify the address.
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

// lower lowers ASCII capitals only.
func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return strings.Map(lowerRune, s)
}

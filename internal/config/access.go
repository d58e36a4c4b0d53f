package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// access reads the lists of allowed users, and the paths that need no sign-in.
func (r *reader) access(c *Config) Access {
	a := Access{
		Domains:        r.domains(c.AllowedUserDomains),
		RolesAndGroups: r.allowList("allowedRolesAndGroups", c.AllowedRolesAndGroups),
		UserClaim:      r.textOr("userIdentifierClaim", c.UserIdentifierClaim, "email"),
		DomainClaim:    r.textOr("userDomainClaim", c.UserDomainClaim, "email"),
		GroupClaim:     r.textOr("groupClaimName", c.GroupClaimName, "groups"),
		RoleClaim:      r.textOr("roleClaimName", c.RoleClaimName, "roles"),
		Excluded:       r.excluded(c.ExcludedURLs),
	}
	a.Users = r.users(c.AllowedUsers, a.UserClaim)
	a.EmailVerified = r.choice("emailVerified", c.EmailVerified, "deny", policy.EmailVerifications())
	if a.DomainClaim != "email" && a.Domains == nil {
		r.warn("userDomainClaim", "has no effect without allowedUserDomains")
	}
	return a
}

// allowList reads a list of allowed users. An empty list is refused, because it would
// let all users pass although the operator meant a few.
func (r *reader) allowList(option string, raw []string) []string {
	if raw == nil {
		return nil
	}
	before := len(r.problems)
	out := r.list(option, raw)
	if len(out) == 0 && len(r.problems) == before {
		r.problem(option, "is empty; name somebody, or leave it out to let everybody pass")
	}
	for _, one := range out {
		if one == "*" {
			r.problem(option, "* is not a name: wildcards are not known here; leave the option out to let everybody pass")
		}
	}
	return out
}

// users reads allowedUsers. An element that is no e-mail address cannot be the value of
// the claim email.
func (r *reader) users(raw []string, claim string) []string {
	const option = "allowedUsers"
	out := r.allowList(option, raw)
	for i, one := range out {
		if claim == "email" && one != "*" && !strings.Contains(one, "@") {
			r.warn(option, fmt.Sprintf("element %d is not an e-mail address and matches nobody, because userIdentifierClaim is email", i+1))
		}
	}
	return out
}

// domains reads allowedUserDomains.
func (r *reader) domains(raw []string) []string {
	const option = "allowedUserDomains"
	out := r.allowList(option, raw)
	for i, domain := range out {
		if domain == "*" {
			continue // allowList reports it
		}
		domain = strings.ToLower(strings.TrimPrefix(domain, "@"))
		if !policy.IsDomain(domain) {
			r.problem(option, fmt.Sprintf("element %d is not a domain name such as example.com; wildcards are not known here, and a subdomain is an element of its own", i+1))
		}
		out[i] = domain
	}
	return out
}

// excluded reads excludedURLs, canonical path prefixes. A slash at the end means
// the same as none.
func (r *reader) excluded(raw []string) []string {
	const option = "excludedURLs"
	var out []string
	for _, prefix := range r.list(option, raw) {
		trimmed := strings.TrimRight(prefix, "/")
		if strings.HasPrefix(prefix, "/") && trimmed == "" {
			r.problem(option, "/ would leave nothing protected; take the middleware off the router instead")
			continue
		}
		fault := pathFault(trimmed)
		if strings.ContainsAny(prefix, `*^|[]\`) || strings.HasSuffix(prefix, "$") || strings.Contains(prefix, "=/") {
			fault = "is not a path prefix such as /health, which is /health and all below it; expressions, wildcards and methods are not known here"
		}
		if fault != "" {
			r.problem(option, brief(prefix)+" "+fault)
			continue
		}
		out = append(out, trimmed)
	}
	return out
}

// limits reads the bounds for a client address.
func (r *reader) limits(c *Config) Limits {
	return Limits{
		Rate:           r.number("rateLimit", c.RateLimit, 10, 1000000),
		TrustedProxies: r.networks("trustedProxies", c.TrustedProxies),
	}
}

// networks reads a list of networks in CIDR notation, or of single addresses.
func (r *reader) networks(option string, raw []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range r.list(option, raw) {
		if !strings.Contains(s, "/") {
			if addr, err := netip.ParseAddr(s); err == nil {
				addr = addr.Unmap()
				out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
				continue
			}
		}
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			r.problem(option, brief(s)+" is not a network such as 10.0.0.0/8 or fd00::/8")
			continue
		}
		if prefix.Bits() == 0 {
			r.warn(option, "a network holds every address, so every client chooses the address that rateLimit and the log see")
		}
		out = append(out, prefix.Masked())
	}
	return out
}

// bearer reads the rules for access tokens. The audience is the client unless the
// operator names another.
func (r *reader) bearer(c *Config, clientID string) Bearer {
	b := Bearer{
		Enabled:              c.EnableBearerAuth,
		Audience:             r.textOr("audience", c.Audience, clientID),
		StrictAudience:       c.StrictAudienceValidation,
		AllowOpaque:          c.AllowOpaqueTokens,
		RequireIntrospection: c.RequireTokenIntrospection,
		IdentifierClaim:      r.textOr("bearerIdentifierClaim", c.BearerIdentifierClaim, "sub"),
		StripAuthorization:   c.StripAuthorizationHeader,
		EmitWWWAuthenticate:  c.BearerEmitWWWAuthenticate,
		OverridesCookie:      c.BearerOverridesCookie,
		MaxTokenAge:          r.seconds("maxTokenAgeSeconds", c.MaxTokenAgeSeconds, 0, maxSeconds),
		MaxIdentifierLength:  r.number("maxIdentifierLength", c.MaxIdentifierLength, 1, 4096),
		FailureThreshold:     r.number("bearerFailureThreshold", c.BearerFailureThreshold, 1, 1000000),
		FailureWindow:        r.seconds("bearerFailureWindowSeconds", c.BearerFailureWindowSeconds, 1, maxSeconds),
		FailurePenalty:       r.seconds("bearerFailurePenaltySeconds", c.BearerFailurePenaltySeconds, 1, maxSeconds),
	}
	if b.Enabled && c.Audience == "" {
		r.problem("audience", "is required by enableBearerAuth")
	}
	return b
}

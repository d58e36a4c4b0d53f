// Package policy has the access rules, the public paths and the return targets. Its
// functions are pure: they decide by claims, paths and URLs only.
package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// Rules are the access rules. A user needs to be in Users or in Domains, and to have
// one of RolesAndGroups. An empty list does not restrict access; with all three empty,
// every signed-in user has access. [NewRules] makes Rules that are ready for use. They
// are safe for concurrent use and must not be changed.
//
// Comparisons ignore the case of ASCII letters. Other letters are compared exactly,
// because case folding makes different names equal.
type Rules struct {
	Users          []string // values of UserClaim
	Domains        []string // of the address in DomainClaim; subdomains do not match
	RolesAndGroups []string // values of GroupClaim or RoleClaim

	// These name a claim, or a path to one (oidc.Claims.Lookup).
	UserClaim   string // empty: email
	DomainClaim string // empty: email
	GroupClaim  string // empty: groups
	RoleClaim   string // empty: roles

	// EmailVerified is ignore, deny or require; empty means deny. With deny, the claim
	// email is ignored if email_verified is present and not true. With require, it is
	// also ignored if email_verified is absent. Other claims are not affected.
	EmailVerified string

	users, domains, named map[string]bool
}

// Decision is the result of the rules for one user. Reason is a constant text for the
// log, without values of claims.
type Decision struct {
	Allowed bool
	Reason  string
}

// NewRules returns the rules of o with defaults filled in. It refuses an unknown
// EmailVerified, a domain that can never match, and a list with empty values only. Such
// a list would allow every user although the operator meant to allow a few.
func NewRules(o Rules) (*Rules, error) {
	r := &o
	r.UserClaim = orDefault(o.UserClaim, "email")
	r.DomainClaim = orDefault(o.DomainClaim, "email")
	r.GroupClaim = orDefault(o.GroupClaim, "groups")
	r.RoleClaim = orDefault(o.RoleClaim, "roles")
	r.EmailVerified = orDefault(o.EmailVerified, "deny")
	if r.EmailVerified != "ignore" && r.EmailVerified != "deny" && r.EmailVerified != "require" {
		return nil, errors.New("policy: emailVerified must be ignore, deny or require")
	}
	var err error
	if r.users, err = setOf("users", o.Users); err != nil {
		return nil, err
	}
	if r.domains, err = setOf("domains", o.Domains); err != nil {
		return nil, err
	}
	for d := range r.domains {
		if !IsDomain(d) {
			return nil, fmt.Errorf("policy: %q is not a domain", d)
		}
	}
	r.named, err = setOf("roles and groups", o.RolesAndGroups)
	return r, err
}

// EmailVerifications returns the values of Rules.EmailVerified.
func EmailVerifications() []string { return []string{"ignore", "deny", "require"} }

// IsDomain reports whether an e-mail address can have the domain s, in lower case.
func IsDomain(s string) bool {
	return s != "" && !strings.ContainsAny(s, "@*/ ") && strings.Trim(s, ".") == s
}

// allow decides whether a user with these claims has access. A claim that is missing or
// of the wrong type fails the rule that needs it.
func (r *Rules) allow(c oidc.Claims) Decision {
	if len(r.users)+len(r.domains) > 0 && !r.isListed(c) {
		return Decision{Reason: r.unlistedReason(c)}
	}
	if len(r.named) > 0 && !r.hasListedRole(c) {
		return Decision{Reason: "none of the user's roles and groups is allowed"}
	}
	return Decision{Allowed: true, Reason: "allowed"}
}

// claims returns the names of the claims that the rules use, each once. A refusal has
// its cause in one of them.
func (r *Rules) claims() []string {
	var names []string
	if len(r.users)+len(r.domains) > 0 {
		names = appendNew(names, r.UserClaim)
	}
	if len(r.domains) > 0 {
		names = appendNew(names, r.DomainClaim)
	}
	if len(names) > 0 && r.NeedsEmail() && r.EmailVerified != "ignore" {
		names = appendNew(names, "email_verified")
	}
	if len(r.named) > 0 {
		names = appendNew(names, r.GroupClaim)
		names = appendNew(names, r.RoleClaim)
	}
	return names
}

func appendNew(names []string, name string) []string {
	for _, n := range names {
		if n == name {
			return names
		}
	}
	return append(names, name)
}

// unlistedReason returns the reason for a user in neither Users nor Domains.
func (r *Rules) unlistedReason(c oidc.Claims) string {
	const reason = "neither the user nor the domain is allowed"
	switch {
	case r.NeedsEmail() && !r.verified(c):
		return reason + ", and the e-mail address is not verified"
	case len(r.domains) > 0 && domainOf(c.Text(r.DomainClaim)) == "":
		return reason + ", and the claim that userDomainClaim names (by default email) has no e-mail address"
	}
	return reason
}

// NeedsEmail reports whether a rule uses the claim email, so that EmailVerified
// matters.
func (r *Rules) NeedsEmail() bool {
	return r.UserClaim == "email" || len(r.domains) > 0 && r.DomainClaim == "email"
}

// User returns the user's name, the value of UserClaim; empty: there is none. An e-mail
// address that EmailVerified ignores is no name, because the backend would rely on it.
func (r *Rules) User(c oidc.Claims) string {
	if !r.usable(c, r.UserClaim) {
		return ""
	}
	return c.Text(r.UserClaim)
}

// Groups returns the values of GroupClaim.
func (r *Rules) Groups(c oidc.Claims) []string {
	if !r.usable(c, r.GroupClaim) {
		return nil
	}
	return c.List(r.GroupClaim)
}

// Roles returns the values of RoleClaim.
func (r *Rules) Roles(c oidc.Claims) []string {
	if !r.usable(c, r.RoleClaim) {
		return nil
	}
	return c.List(r.RoleClaim)
}

// usable reports whether the rules may use a claim: any, but email only if EmailVerified
// permits it.
func (r *Rules) usable(c oidc.Claims, claim string) bool {
	return claim != "email" || r.verified(c)
}

// isListed reports whether the user is in Users or in Domains. The domain comes from
// DomainClaim only. Other claims are no proof of a domain: many providers let users
// choose their preferred_username, which may look like an address of any domain.
func (r *Rules) isListed(c oidc.Claims) bool {
	user := r.User(c)
	if user != "" && r.users[lower(user)] {
		return true
	}
	if len(r.domains) == 0 || !r.usable(c, r.DomainClaim) {
		return false
	}
	domain := domainOf(c.Text(r.DomainClaim))
	return domain != "" && r.domains[domain]
}

// hasListedRole reports whether the user has a role or group of RolesAndGroups.
func (r *Rules) hasListedRole(c oidc.Claims) bool {
	for _, g := range r.Groups(c) {
		if r.named[lower(g)] {
			return true
		}
	}
	for _, role := range r.Roles(c) {
		if r.named[lower(role)] {
			return true
		}
	}
	return false
}

// setOf returns the values in lower case, without empty ones. A list with empty values
// only is an error, which names the list.
func setOf(list string, values []string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			set[lower(v)] = true
		}
	}
	if len(values) > 0 && len(set) == 0 {
		return nil, fmt.Errorf("policy: the list of %s has only empty values", list)
	}
	return set, nil
}

func orDefault(v, byDefault string) string {
	if v == "" {
		return byDefault
	}
	return v
}

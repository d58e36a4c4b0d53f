// Package policy decides who may pass and what needs no sign-in. Its functions
// are pure: they look at claims, paths and URLs, ask nobody and keep nothing.
package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// Rules say who may pass: somebody of Users or of Domains, who also has one of
// RolesAndGroups. A list that is empty asks for nothing; with all three empty
// everybody who signed in may pass. Make them with [NewRules]; they are safe for
// concurrent use and must not be changed then.
//
// Texts are compared without regard to the case of ASCII letters. Other letters
// are compared exactly, because folding them makes different people equal.
type Rules struct {
	Users          []string // values of UserClaim
	Domains        []string // of the address in DomainClaim, without subdomains
	RolesAndGroups []string

	// Claims are found by their name or by a path (oidc.Claims.Lookup).
	UserClaim   string // empty: email
	DomainClaim string // empty: email
	GroupClaim  string // empty: groups
	RoleClaim   string // empty: roles

	// EmailVerified is ignore, deny or require; empty means deny. With deny, the
	// claim email whose email_verified is there and not true counts for nothing;
	// with require, so does one whose email_verified is absent. Other claims count
	// as they are.
	EmailVerified string

	users, domains, named map[string]bool
}

// Decision is what the rules say about a person. Reason is a constant text for
// the log; it holds nothing of the claims.
type Decision struct {
	Allowed bool
	Reason  string
}

// NewRules returns the rules of o with defaults filled in. It refuses a list that
// is there and has nothing in it, which would let everybody pass where the
// operator meant a few, and values that can never match.
func NewRules(o Rules) (*Rules, error) {
	r := &o
	r.UserClaim = either(o.UserClaim, "email")
	r.DomainClaim = either(o.DomainClaim, "email")
	r.GroupClaim = either(o.GroupClaim, "groups")
	r.RoleClaim = either(o.RoleClaim, "roles")
	r.EmailVerified = either(o.EmailVerified, "deny")
	switch r.EmailVerified {
	case "ignore", "deny", "require":
	default:
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
		if strings.ContainsAny(d, "@*/ ") {
			return nil, fmt.Errorf("policy: %q is not a domain", d)
		}
	}
	r.named, err = setOf("roles and groups", o.RolesAndGroups)
	return r, err
}

// Allow reports whether a person with these claims may pass. A claim that is
// missing or has another type than it should fails the rule that needs it.
func (r *Rules) Allow(c oidc.Claims) Decision {
	if len(r.users)+len(r.domains) > 0 && !r.knows(c) {
		return Decision{Reason: r.unknown(c)}
	}
	if len(r.named) > 0 && !r.holdsOne(c) {
		return Decision{Reason: "none of the user's roles and groups is allowed"}
	}
	return Decision{Allowed: true, Reason: "allowed"}
}

// Claims returns the names of the claims that the rules look at, each once: for a user
// who may not pass, the cause is in one of them.
func (r *Rules) Claims() []string {
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

// unknown is the reason for a user whom neither Users nor Domains name.
func (r *Rules) unknown(c oidc.Claims) string {
	const reason = "neither the user nor the domain is allowed"
	switch {
	case r.NeedsEmail() && !r.verified(c):
		return reason + ", and the e-mail address is not verified"
	case len(r.domains) > 0 && domainOf(c.Text(r.DomainClaim)) == "":
		return reason + ", and the claim that userDomainClaim names (by default email) has no e-mail address"
	}
	return reason
}

// NeedsEmail reports whether a rule looks at the claim email, which counts only
// as EmailVerified says.
func (r *Rules) NeedsEmail() bool {
	return r.UserClaim == "email" || len(r.domains) > 0 && r.DomainClaim == "email"
}

// User is what the person is called here, or empty: also when it is an e-mail
// address that EmailVerified does not let count, because the backend would take
// it for proven.
func (r *Rules) User(c oidc.Claims) string {
	if !r.counts(c, r.UserClaim) {
		return ""
	}
	return c.Text(r.UserClaim)
}

// Groups are the values of the group claim.
func (r *Rules) Groups(c oidc.Claims) []string {
	if !r.counts(c, r.GroupClaim) {
		return nil
	}
	return c.List(r.GroupClaim)
}

// Roles are the values of the role claim.
func (r *Rules) Roles(c oidc.Claims) []string {
	if !r.counts(c, r.RoleClaim) {
		return nil
	}
	return c.List(r.RoleClaim)
}

// counts reports whether a claim may count for a rule.
func (r *Rules) counts(c oidc.Claims, claim string) bool {
	return claim != "email" || r.verified(c)
}

// knows reports whether Users or Domains name the user. The domain is that of
// DomainClaim only: users choose their own preferred_username at many providers,
// and it may look like an address of any domain.
func (r *Rules) knows(c oidc.Claims) bool {
	user := r.User(c)
	if user != "" && r.users[lower(user)] {
		return true
	}
	if len(r.domains) == 0 || !r.counts(c, r.DomainClaim) {
		return false
	}
	domain := domainOf(c.Text(r.DomainClaim))
	return domain != "" && r.domains[domain]
}

// holdsOne reports whether RolesAndGroups names a role or a group of the person.
func (r *Rules) holdsOne(c oidc.Claims) bool {
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

func setOf(what string, values []string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			set[lower(v)] = true
		}
	}
	if len(values) > 0 && len(set) == 0 {
		return nil, fmt.Errorf("policy: the list of %s has nothing in it", what)
	}
	return set, nil
}

func either(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

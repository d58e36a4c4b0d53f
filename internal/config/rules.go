package config

import (
	"fmt"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// rules reads accessRules and unauthenticated.
func (r *reader) rules(c *Config, a *Access, issuer string) {
	a.Unauthenticated = r.choice("unauthenticated", c.Unauthenticated, policy.Auto, unauthenticated)
	if a.Unauthenticated == policy.Pass && (a.Users != nil || a.Domains != nil || a.RolesAndGroups != nil) {
		r.warn("unauthenticated", "with pass, requests without a session and of other users pass too, without identity headers: the allowed lists decide only who has identity headers")
	}
	o := policy.AccessOptions{Unauthenticated: a.Unauthenticated, Providers: r.providers, Lists: &policy.Rules{GroupClaim: a.GroupClaim, RoleClaim: a.RoleClaim}}
	if o.Providers == nil {
		o.Providers = []string{issuer}
	}
	for i := range c.AccessRules {
		rule := r.rule(fmt.Sprintf("accessRules[%d].", i), &c.AccessRules[i])
		a.Rules = append(a.Rules, rule)
		o.Rules = append(o.Rules, policy.AccessRule{
			Paths: rule.Paths, Methods: rule.Methods, Hosts: rule.Hosts, Require: rule.Require, Unauthenticated: rule.Unauthenticated,
		})
	}
	if option := r.withoutRequire(a); option != "" {
		r.warn(option, "is left out, so every signed-in user of the provider passes: allowedUsers, allowedUserDomains and allowedRolesAndGroups do not apply where an access rule matches; repeat them in require, such as Group(`staff`)")
	}
	if !beginsSignIns(o) {
		r.warn("unauthenticated", "no request begins a sign-in, because every one without a session passes or gets 401; add a rule with the path of a page, such as /login, and unauthenticated: redirect")
	}
	_, problems := policy.NewAccess(o)
	for _, p := range problems {
		option := fmt.Sprintf("accessRules[%d]", p.Rule)
		text := p.Text
		if p.Option != "" {
			option += "." + p.Option
		}
		if p.Option == "require" && strings.Contains(c.AccessRules[p.Rule].Require, "${") {
			text, _, _ = strings.Cut(text, ": ")
			text += ", once the variables are replaced: is no expression"
		}
		r.problem(option, text)
	}
}

// withoutRequire returns the option of the first rule that lets in users whom the allowed
// lists would refuse, and that says nothing about users. It returns an empty string if
// there is none.
func (r *reader) withoutRequire(a *Access) string {
	if a.Users == nil && a.Domains == nil && a.RolesAndGroups == nil {
		return ""
	}
	for i, rule := range a.Rules {
		if rule.Require == "" && rule.Unauthenticated != policy.Pass && !(rule.Unauthenticated == "" && a.Unauthenticated == policy.Pass) {
			return fmt.Sprintf("accessRules[%d].require", i)
		}
	}
	return ""
}

// beginsSignIns reports whether a request without a session can lead to the provider.
func beginsSignIns(o policy.AccessOptions) bool {
	inherited := o.Unauthenticated != policy.Deny
	if inherited && o.Unauthenticated != policy.Pass {
		return true
	}
	for _, rule := range o.Rules {
		switch rule.Unauthenticated {
		case policy.Auto, policy.Redirect:
			return true
		case "":
			if inherited {
				return true
			}
		}
	}
	return false
}

var unauthenticated = []string{policy.Auto, policy.Redirect, policy.Deny, policy.Pass}

// rule reads an element of accessRules. Package policy checks its paths, methods, hosts
// and its expression.
func (r *reader) rule(at string, o *AccessRuleOptions) AccessRule {
	r.unknown(at, o.Extra, AccessRuleOptions{})
	rule := AccessRule{
		Paths:           r.restriction(at+"paths", o.Paths),
		Methods:         r.restriction(at+"methods", o.Methods),
		Hosts:           r.restriction(at+"hosts", o.Hosts),
		Require:         r.text(at+"require", o.Require),
		Unauthenticated: r.choice(at+"unauthenticated", o.Unauthenticated, "", unauthenticated),
		Provider:        r.text(at+"provider", o.Provider),
	}
	if o.Require != "" && rule.Require == "" {
		r.problem(at+"require", "is empty; leave it out to let every signed-in user pass")
	}
	for i, p := range rule.Paths {
		if len(p) > 1 {
			rule.Paths[i] = strings.TrimRight(p, "/")
		}
	}
	rule.Headers = r.templates(at+"headers", o.Headers)
	return rule
}

// restriction reads a list of values that a rule matches. An empty list is a problem,
// because the rule would match everything.
func (r *reader) restriction(option string, raw []string) []string {
	if raw == nil {
		return nil
	}
	before := len(r.problems)
	out := r.list(option, raw)
	if len(out) == 0 && len(r.problems) == before {
		r.problem(option, "is empty, and the rule would match all of them; leave it out if that is meant")
	}
	return out
}

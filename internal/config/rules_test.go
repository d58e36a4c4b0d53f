package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/headers"
)

func withRules(rules ...AccessRuleOptions) *Config {
	c := minimal()
	c.AccessRules = rules
	return c
}

func TestAccessRules(t *testing.T) {
	env := environment(map[string]string{"TEAMS": "/a,/b/", "GROUP": "staff", "EMPTY": ""}, nil)
	s := past(t, withRules(
		AccessRuleOptions{Paths: []string{"/admin/", "${TEAMS}", "/"}, Methods: []string{"get"}, Hosts: []string{"App.example.com"}, Require: " Group(`${GROUP}`) ", Unauthenticated: "DENY"},
		AccessRuleOptions{Paths: []string{"/me"}, Headers: []HeaderOptions{{Name: "X-A", Value: "${claims.a}"}}},
	), env)
	want := []AccessRule{
		{Paths: []string{"/admin", "/a", "/b", "/"}, Methods: []string{"get"}, Hosts: []string{"App.example.com"}, Require: "Group(`staff`)", Unauthenticated: "deny"},
		{Paths: []string{"/me"}, Headers: []headers.Template{{Name: "X-A", Value: "${claims.a}"}}},
	}
	if !reflect.DeepEqual(s.Access.Rules, want) || s.Access.Unauthenticated != "auto" {
		t.Errorf("got %+v, %s", s.Access.Rules, s.Access.Unauthenticated)
	}
	for _, row := range []struct {
		rule AccessRuleOptions
		want string
	}{
		{AccessRuleOptions{Paths: []string{}}, "accessRules[0].paths: is empty, and the rule would match all of them"},
		{AccessRuleOptions{Methods: []string{""}}, "accessRules[0].methods: is empty"},
		{AccessRuleOptions{Hosts: []string{"${EMPTY}"}}, "accessRules[0].hosts: is empty"},
		{AccessRuleOptions{Require: "${EMPTY}"}, "accessRules[0].require: is empty; leave it out"},
		{AccessRuleOptions{Require: "Gruop(`a`)"}, "accessRules[0].require: at byte 1: there is no matcher Gruop; did you mean Group?"},
		{AccessRuleOptions{Require: "Provider(`https://other.example`)"}, "accessRules[0].require: at byte 10: the value of Provider is not the providerURL"},
		{AccessRuleOptions{Require: "Group(`a`) ${GROUP}"}, "accessRules[0].require: at byte 12, once the variables are replaced: is no expression"},
		{AccessRuleOptions{Paths: []string{"/a/*"}}, `accessRules[0].paths: "/a/*" has a wildcard`},
		{AccessRuleOptions{Unauthenticated: "redirct"}, "accessRules[0].unauthenticated: is none of auto, redirect, deny, pass; did you mean redirect?"},
		{AccessRuleOptions{Require: "Group(`a`)", Unauthenticated: "pass"}, "accessRules[0].require: protects nothing with unauthenticated: pass"},
		{AccessRuleOptions{Headers: []HeaderOptions{{Name: "X A", Value: "x"}}}, "accessRules[0].headers[0]: "},
		{AccessRuleOptions{Headers: []HeaderOptions{{Name: "X-A", Value: "x", Extra: map[string]any{"valu": 1}}}}, "accessRules[0].headers[0].valu: there is no such option"},
		{AccessRuleOptions{Extra: map[string]any{"bearer": "deny"}}, "accessRules[0].bearer: is not supported in this version"},
		{AccessRuleOptions{Extra: map[string]any{"path": "/a"}}, "accessRules[0].path: there is no such option; did you mean accessRules[0].paths?"},
		{AccessRuleOptions{Extra: map[string]any{"rule": "x"}}, "accessRules[0].rule: there is no such option; write it in require"},
	} {
		wantProblem(t, withRules(row.rule), env, row.want)
	}
	_, err := Parse(withRules(AccessRuleOptions{Paths: []string{"x"}, Methods: []string{"G T"}, Require: "x"}, AccessRuleOptions{}, AccessRuleOptions{Paths: []string{"/b"}, Hosts: []string{"*"}}), env)
	for _, want := range []string{"accessRules[0].paths", "accessRules[0].methods", "accessRules[0].require", "accessRules[2].hosts", "accessRules[2]: is never reached, because accessRules[1] matches every request"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	for _, row := range []struct {
		mode  string
		rule  AccessRuleOptions
		warns bool
	}{
		{"pass", AccessRuleOptions{Paths: []string{"/a"}}, false}, {"deny", AccessRuleOptions{Paths: []string{"/a"}}, true},
		{"pass", AccessRuleOptions{Paths: []string{"/a"}, Unauthenticated: "deny"}, true}, {"deny", AccessRuleOptions{Paths: []string{"/a"}, Unauthenticated: "redirect"}, false},
		{"auto", AccessRuleOptions{Paths: []string{"/a"}, Unauthenticated: "deny"}, false}, {"redirect", AccessRuleOptions{Paths: []string{"/a"}, Unauthenticated: "pass"}, false},
	} {
		c := withRules(row.rule)
		c.Unauthenticated = row.mode
		s, err := Parse(c, env)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(s.Warnings, "\n"), "unauthenticated: no request begins a sign-in"); got != row.warns {
			t.Errorf("%s, %+v: warned: %v", row.mode, row.rule, got)
		}
	}
	c := withRules(AccessRuleOptions{Paths: []string{"/a"}, Headers: []HeaderOptions{{Name: "Remote-User", Value: "x"}}})
	c.KeepRequestHeaders = []string{"Remote-User"}
	wantProblem(t, c, env, "keepRequestHeaders: Remote-User")
}

func TestARuleWithoutRequireBesideLists(t *testing.T) {
	const warning = "is left out, so every signed-in user of the provider passes"
	for _, row := range []struct {
		name  string
		list  string
		rule  AccessRuleOptions
		warns bool
	}{
		{"a rule for the 401 alone", "staff", AccessRuleOptions{Paths: []string{"/api"}, Unauthenticated: "deny"}, true},
		{"with the group", "staff", AccessRuleOptions{Paths: []string{"/api"}, Unauthenticated: "deny", Require: "Group(`staff`)"}, false},
		{"a public path", "staff", AccessRuleOptions{Paths: []string{"/api"}, Unauthenticated: "pass"}, false},
		{"no list", "", AccessRuleOptions{Paths: []string{"/api"}, Unauthenticated: "deny"}, false},
	} {
		c := withRules(AccessRuleOptions{Paths: []string{"/first"}, Require: "Group(`a`)"}, row.rule)
		if row.list != "" {
			c.AllowedRolesAndGroups = []string{row.list}
		}
		s, err := Parse(c, environment(nil, nil))
		if err != nil {
			t.Fatal(row.name, err)
		}
		all := strings.Join(s.Warnings, "\n")
		if got := strings.Contains(all, "accessRules[1].require: "+warning); got != row.warns || !row.warns && strings.Contains(all, warning) {
			t.Errorf("%s: warnings %q", row.name, all)
		}
	}
}

package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

func claimsOf(t *testing.T, text string) oidc.Claims {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	c := oidc.Claims{}
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRules(t *testing.T) {
	domain := Rules{Domains: []string{"Corp.com"}}
	boss := Rules{Users: []string{"Boss@corp.com"}}
	admins := Rules{RolesAndGroups: []string{"Admin", "ops"}}
	tests := []struct {
		name   string
		rules  Rules
		claims string
		want   bool
	}{
		{"no rules", Rules{}, `{}`, true},
		{"user, other case", boss, `{"email":"boss@CORP.com"}`, true},
		{"other user", boss, `{"email":"boss@corp.org"}`, false},
		{"user or domain: user", Rules{Users: []string{"a@b.c"}, Domains: []string{"corp.com"}}, `{"email":"a@b.c"}`, true},
		{"user or domain: domain", Rules{Users: []string{"a@b.c"}, Domains: []string{"corp.com"}}, `{"email":"x@corp.com"}`, true},
		{"user or domain: neither", Rules{Users: []string{"a@b.c"}, Domains: []string{"corp.com"}}, `{"email":"x@b.c"}`, false},
		{"domain and group", Rules{Domains: []string{"corp.com"}, RolesAndGroups: []string{"admin"}}, `{"email":"x@corp.com","groups":["admin"]}`, true},
		{"domain without group", Rules{Domains: []string{"corp.com"}, RolesAndGroups: []string{"admin"}}, `{"email":"x@corp.com","groups":["dev"]}`, false},
		{"group without domain", Rules{Domains: []string{"corp.com"}, RolesAndGroups: []string{"admin"}}, `{"email":"x@b.c","groups":["admin"]}`, false},
		{"any role", admins, `{"roles":["OPS"]}`, true},
		{"any group", admins, `{"groups":["x","admin"]}`, true},
		{"nested roles", Rules{RolesAndGroups: []string{"admin"}, RoleClaim: "realm_access.roles"}, `{"realm_access":{"roles":["admin"]}}`, true},
		{"literal name before path", Rules{RolesAndGroups: []string{"admin"}, RoleClaim: "a.b"}, `{"a.b":["x"],"a":{"b":["admin"]}}`, false},
		{"claim named by a URL", Rules{RolesAndGroups: []string{"admin"}, RoleClaim: "https://c.com/roles"}, `{"https://c.com/roles":["admin"]}`, true},
		{"user by another claim", Rules{Users: []string{"42"}, UserClaim: "sub"}, `{"sub":"42","email":"a@b.c"}`, true},
		{"the domain comes from email, not from sub", Rules{Domains: []string{"corp.com"}, UserClaim: "sub"}, `{"sub":"42","email":"a@corp.com"}`, true},
		{"L9 an identifier that looks like an address", Rules{Domains: []string{"corp.com"}, UserClaim: "preferred_username"}, `{"preferred_username":"mallory@corp.com","email":"m@evil.com","email_verified":true}`, false},
		{"L9 an identifier that looks like an address, no email", Rules{Domains: []string{"corp.com"}, UserClaim: "upn"}, `{"upn":"a@corp.com"}`, false},
		{"L9 an identifier that looks like an address, unverified email", Rules{Domains: []string{"corp.com"}, UserClaim: "upn"}, `{"upn":"a@corp.com","email":"a@corp.com","email_verified":false}`, false},
		{"L9 the domain is email's whatever the identifier", Rules{Domains: []string{"corp.com"}, UserClaim: "upn"}, `{"upn":"a@evil.com","email":"a@corp.com"}`, true},
		{"L9 no email_verified, as Entra", Rules{Domains: []string{"corp.com"}, UserClaim: "preferred_username"}, `{"preferred_username":"a","email":"a@corp.com"}`, true},
		{"L9 no email_verified where it is required", Rules{Domains: []string{"corp.com"}, UserClaim: "preferred_username", EmailVerified: "require"}, `{"preferred_username":"a@corp.com","email":"a@corp.com"}`, false},
		{"L9 email_verified false, as authentik", Rules{Domains: []string{"corp.com"}, UserClaim: "preferred_username"}, `{"preferred_username":"a@corp.com","email":"a@corp.com","email_verified":false}`, false},
		{"L9 email_verified false and ignored", Rules{Domains: []string{"corp.com"}, UserClaim: "preferred_username", EmailVerified: "ignore"}, `{"preferred_username":"a","email":"a@corp.com","email_verified":false}`, true},
		{"L9 another claim by name", Rules{Domains: []string{"corp.com"}, DomainClaim: "upn"}, `{"upn":"a@corp.com","email":"a@evil.com","email_verified":false}`, true},
		{"L9 another claim by name, and email is of the domain", Rules{Domains: []string{"corp.com"}, DomainClaim: "upn"}, `{"upn":"a@evil.com","email":"a@corp.com"}`, false},
		{"L9 another claim by path", Rules{Domains: []string{"corp.com"}, DomainClaim: "work.mail"}, `{"work":{"mail":"a@CORP.com"}}`, true},
		{"L9 C35 another claim with two at-signs", Rules{Domains: []string{"corp.com"}, DomainClaim: "upn"}, `{"upn":"a@evil.com@corp.com"}`, false},
		{"L9 another claim that is a bare domain", Rules{Domains: []string{"corp.com"}, DomainClaim: "hd"}, `{"hd":"corp.com"}`, false},
		{"L9 another claim that is a list", Rules{Domains: []string{"corp.com"}, DomainClaim: "upn"}, `{"upn":["a@corp.com"]}`, false},
		{"L9 an unverified address as a group", Rules{RolesAndGroups: []string{"a@corp.com"}, GroupClaim: "email"}, `{"email":"a@corp.com","email_verified":false}`, false},
		{"L9 an unverified address as a role", Rules{RolesAndGroups: []string{"a@corp.com"}, RoleClaim: "email"}, `{"email":"a@corp.com","email_verified":false}`, false},
		{"L9 a verified address as a group", Rules{RolesAndGroups: []string{"a@corp.com"}, GroupClaim: "email"}, `{"email":"a@corp.com","email_verified":true}`, true},

		{"C34 unverified address fails a user rule", boss, `{"email":"boss@corp.com","email_verified":false}`, false},
		{"C34 unverified address fails a domain rule", domain, `{"email":"x@corp.com","email_verified":false}`, false},
		{"C34 false as text", domain, `{"email":"x@corp.com","email_verified":"false"}`, false},
		{"C34 true as text", domain, `{"email":"x@corp.com","email_verified":"True"}`, true},
		{"C34 absent passes by default", domain, `{"email":"x@corp.com"}`, true},
		{"C34 null is absent", domain, `{"email":"x@corp.com","email_verified":null}`, true},
		{"C34 a number is no yes", domain, `{"email":"x@corp.com","email_verified":1}`, false},
		{"C34 absent fails where required", Rules{Domains: []string{"corp.com"}, EmailVerified: "require"}, `{"email":"x@corp.com"}`, false},
		{"C34 true passes where required", Rules{Domains: []string{"corp.com"}, EmailVerified: "require"}, `{"email":"x@corp.com","email_verified":true}`, true},
		{"C34 ignored where asked for", Rules{Domains: []string{"corp.com"}, EmailVerified: "ignore"}, `{"email":"x@corp.com","email_verified":false}`, true},
		{"C34 groups do not depend on it", admins, `{"email":"x@corp.com","email_verified":false,"groups":["admin"]}`, true},
		{"C34 another identifier does not depend on it", Rules{Users: []string{"42"}, UserClaim: "sub"}, `{"sub":"42","email_verified":false}`, true},

		{"C35 two at-signs", domain, `{"email":"a@evil@corp.com"}`, false},
		{"C35 domain inside", domain, `{"email":"a@corp.com.evil"}`, false},
		{"C35 subdomain", domain, `{"email":"a@sub.corp.com"}`, false},
		{"C35 domain with a tail of ours", domain, `{"email":"a@evilcorp.com"}`, false},
		{"C35 no local part", domain, `{"email":"@corp.com"}`, false},
		{"C35 trailing dot", domain, `{"email":"a@corp.com."}`, false},
		{"C35 fullwidth dot", domain, "{\"email\":\"a@corp\uff0ecom\"}", false},
		{"C35 Kelvin sign is no k", Rules{Domains: []string{"kilo.com"}}, "{\"email\":\"a@\u212ailo.com\"}", false},
		{"C35 line break", domain, `{"email":"a\n@corp.com"}`, false},
		{"C35 space", domain, `{"email":"a @corp.com"}`, false},
		{"C35 capitals", domain, `{"email":"a@CORP.COM"}`, true},

		{"C36 empty group", Rules{RolesAndGroups: []string{"", "admin"}}, `{"groups":""}`, false},
		{"C36 list of empty groups", Rules{RolesAndGroups: []string{" ", "admin"}}, `{"groups":["",""]}`, false},
		{"C36 one text", admins, `{"groups":"admin"}`, true},
		{"C36 object with the name as a key", admins, `{"groups":{"admin":true}}`, true},
		{"C36 object with the name as a key that is off", admins, `{"groups":{"admin":false}}`, false},
		{"C36 list with a number", admins, `{"groups":["admin",7]}`, true},
		{"C36 nested list", admins, `{"groups":[["admin"]]}`, false},
		{"C36 comma is no separator", admins, `{"groups":"dev,admin"}`, false},

		{"H18 claim missing", admins, `{}`, false},
		{"H18 claim null", admins, `{"groups":null}`, false},
		{"H18 claim true", admins, `{"groups":true}`, false},
		{"H18 email missing", domain, `{}`, false},
		{"H18 email list", boss, `{"email":["boss@corp.com"]}`, false},
		{"H18 email object", domain, `{"email":{"a@corp.com":1}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewRules(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			d := r.allow(claimsOf(t, tt.claims))
			if d.Allowed != tt.want || d.Reason == "" {
				t.Errorf("%s: %+v, want %v", tt.claims, d, tt.want)
			}
			if strings.Contains(d.Reason, "corp") {
				t.Errorf("the reason %q contains a claim", d.Reason)
			}
		})
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	for name, r := range map[string]Rules{
		"H21 empty users":      {Users: []string{""}},
		"H21 empty domains":    {Domains: []string{" ", ""}},
		"H21 empty groups":     {RolesAndGroups: []string{""}},
		"C36 an empty list":    {RolesAndGroups: []string{"\t"}},
		"domain is an address": {Domains: []string{"a@corp.com"}},
		"domain is a wildcard": {Domains: []string{"*.corp.com"}},
		"emailVerified":        {EmailVerified: "yes"},
	} {
		if _, err := NewRules(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestUser(t *testing.T) {
	tests := []struct{ name, claim, claims, want string }{
		{"address", "", `{"email":"a@b.c"}`, "a@b.c"},
		{"C34 unproven address", "", `{"email":"a@b.c","email_verified":false}`, ""},
		{"other claim", "sub", `{"sub":"42","email_verified":false}`, "42"},
		{"number", "uid", `{"uid":9007199254740993}`, "9007199254740993"},
		{"wrong type", "", `{"email":["a@b.c"]}`, ""},
	}
	for _, tt := range tests {
		r, err := NewRules(Rules{UserClaim: tt.claim})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.User(claimsOf(t, tt.claims)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEveryEmailVerificationIsKnown(t *testing.T) {
	for _, v := range append(EmailVerifications(), "") {
		if _, err := NewRules(Rules{EmailVerified: v}); err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
	if _, err := NewRules(Rules{EmailVerified: "always"}); err == nil {
		t.Error("always is accepted")
	}
}

func TestDomainsThatMatchNobodyAreRefused(t *testing.T) {
	for _, domain := range []string{"@corp.com", ".corp.com", "corp.com.", "*.corp.com", "a@corp.com", "corp.com/x", "a b"} {
		if _, err := NewRules(Rules{Domains: []string{domain}}); err == nil {
			t.Errorf("%q is accepted", domain)
		}
	}
}

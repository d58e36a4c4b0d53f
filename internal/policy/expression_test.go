package policy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

func lists(t testing.TB, o Rules) *Rules {
	t.Helper()
	r, err := NewRules(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// access returns an Access with these rules, and lists that allow nobody of these tests.
func access(t testing.TB, rules ...AccessRule) *Access {
	t.Helper()
	a, problems := NewAccess(AccessOptions{Rules: rules, Lists: lists(t, Rules{Users: []string{"owner@example.com"}})})
	if problems != nil {
		t.Fatal(problems)
	}
	return a
}

// satisfies reports whether claims satisfy an expression.
func satisfies(t *testing.T, expression string, claims oidc.Claims) bool {
	t.Helper()
	a := access(t, AccessRule{Paths: []string{"/x"}, Require: expression})
	return a.Decisions(Facts{Claims: claims, Provider: claims.Text("iss")})[2].Allowed
}

const (
	backed     = "{\"iss\":\"https://id.example\",\"email\":\"Alice@Example.com\",\"email_verified\":true,\"groups\":[\"Staff\",\"dev\"],\"roles\":[],\"acr\":\"mfa\",\"scope\":\"read write\",\"level\":7,\"on\":true,\"realm\":{\"tags\":[\"a\"]},\"odd\":[\"x\",[\"admins\"]]}"
	unverified = `{"email":"alice@example.com","email_verified":false,"groups":[]}`
)

func TestExpressions(t *testing.T) {
	for _, row := range []struct {
		name, expression, claims string
		want                     bool
	}{
		{"a group, whatever its case", "Group(`staff`)", backed, true},
		{"one of two values", "Group(`admins`, \"dev\")", backed, true},
		{"an empty list of roles", "Role(`admin`)", backed, false},
		{"not a role of an empty list", "!Role(`admin`)", backed, true},
		{"the user", "User(`alice@example.com`)", backed, true},
		{"the domain", "Domain(`@EXAMPLE.com`)", backed, true},
		{"another domain", "Domain(`ample.com`)", backed, false},
		{"a claim, exactly", "Claim(`groups`, `staff`)", backed, false},
		{"a number", "Claim(`level`, `7`)", backed, true},
		{"a boolean", "Claim(`on`, `true`) && !Claim(`on`, `false`)", backed, true},
		{"a nested claim", "Claim(`realm.tags`, `a`)", backed, true},
		{"a prefix", "ClaimPrefix(`acr`, `mf`)", backed, true},
		{"a regular expression anywhere", "ClaimRegexp(`email`, `@Example`)", backed, true},
		{"a regular expression, anchored", "ClaimRegexp(`email`, `^Example`)", backed, false},
		{"a scope", "Scope(`write`) && !Scope(`admin`)", backed, true},
		{"the provider", "Provider(`https://id.example`)", backed, true},
		{"the acr", "ACR(`mfa`) && !ACR(`pwd`)", backed, true},
		{"&& binds tighter than ||", "Group(`dev`) || Group(`x`) && Group(`y`)", backed, true},
		{"parentheses", "(Group(`dev`) || Group(`x`)) && Group(`y`)", backed, false},
		{"not of parentheses", "!(Group(`x`) || Role(`y`))", backed, true},
		{"twice not", "!!Group(`dev`)", backed, true},
		{"an unknown operand that does not matter", "Group(`dev`) || Claim(`none`, `x`)", backed, true},
		{"H19 not of an absent claim", "!Claim(`department`, `guests`)", backed, false},
		{"H19 not of absent groups", "!Group(`guests`)", `{}`, false},
		{"H19 not of null", "!Group(`guests`)", `{"groups":null}`, false},
		{"H19 not of an empty text", "!Claim(`department`, `guests`)", `{"department":""}`, false},
		{"H19 not of a list with an unreadable element", "!Claim(`odd`, `admins`)", backed, false},
		{"H19 not of an unverified address", "!Domain(`evil.example`)", unverified, false},
		{"H19 not of an unverified address by its claim", "!ClaimRegexp(`email`, `evil`)", unverified, false},
		{"H19 not of a text that is no address", "!Domain(`evil.example`)", `{"email":"a@evil.example@example.com"}`, false},
		{"H19 not of an absent acr", "!ACR(`pwd`)", `{}`, false},
		{"H19 not of absent scopes", "!Scope(`read`)", `{}`, false},
		{"H19 twice not of an absent claim", "!!Claim(`department`, `x`)", backed, false},
		{"H19 not of an and with an absent claim", "!(Group(`dev`) && Claim(`department`, `x`))", backed, false},
		{"H19 not of an or with an absent claim", "!(Group(`x`) || Claim(`department`, `x`))", backed, false},
		{"an address is not read where it is not verified", "User(`alice@example.com`)", unverified, false},
		{"H20 a regular expression that others take ages for", "ClaimRegexp(`email`, `^(a+)+$`)", `{"email":"` + strings.Repeat("a", 5000) + `!"}`, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := satisfies(t, row.expression, claimsOf(t, row.claims)); got != row.want {
				t.Errorf("%s: %v", row.expression, got)
			}
		})
	}
}

func TestExpressionFaults(t *testing.T) {
	deep := strings.Repeat("(", 40) + "Group(`a`)" + strings.Repeat(")", 40)
	for expression, want := range map[string]string{
		"Gruop(`a`)":                           "at byte 1: there is no matcher Gruop; did you mean Group?",
		"Group(`a`) && claimregex(`a`)":        "at byte 15: there is no matcher claimregex; did you mean ClaimRegexp?",
		"Path(`/a`)":                           "at byte 1: there is no matcher Path; there are Claim, ClaimPrefix",
		"Group()":                              "at byte 7: Group needs a value",
		"Claim(`groups`)":                      "at byte 15: Claim needs the name of a claim, and a value",
		"Group(``)":                            "at byte 7: a value of Group is empty",
		"Group(` `)":                           "at byte 7: a value of Group is empty",
		"Group(7)":                             "at byte 7: a value of Group must be a text",
		"Group(admins)":                        "at byte 7: a value of Group must be a text",
		"Group(`a` + `b`)":                     "at byte 7: a value of Group must be a text",
		"Group(\"\\x\")":                       "at byte 10: ",
		"Group('admins')":                      "write a value between backquotes",
		"Group(`a`":                            "at byte 10: ",
		"Group(`a`) &&":                        "at byte 14: ",
		"Group(`a`) & Group(`b`)":              "at byte 12: & is no operator here",
		"Group(`a`) == Group(`b`)":             "at byte 12: == is no operator here",
		"Group(`a`) and Group(`b`)":            "at byte 12: ",
		"Group(`a`) Group(`b`)":                "at byte 12: ",
		"-Group(`a`)":                          "at byte 1: an expression has matchers",
		"true":                                 "at byte 1: an expression has matchers",
		"`a`":                                  "at byte 1: an expression has matchers",
		"a.Group(`a`)":                         "at byte 1: an expression has matchers",
		"Group(`a`)(`b`)":                      "at byte 1: an expression has matchers",
		"Group[int](`a`)":                      "at byte 1: an expression has matchers",
		"func(){}()":                           "at byte 1: an expression has matchers",
		"Group([]string{`a`}...)":              "at byte 20: ... is not known here",
		"ClaimRegexp(`email`, `(`)":            "at byte 22: missing closing ): `(` in the regular expression",
		"ClaimRegexp(`email`, `(?=a)`)":        "at byte 22: invalid or unsupported Perl syntax",
		"ClaimRegexp(`a`, `(a{1000}){9}`)":     "in the regular expression",
		"Domain(`*.example.com`)":              "at byte 8: the value of Domain is not a domain name",
		"Domain(`.example.com`)":               "at byte 8: the value of Domain is not a domain name",
		"Domain(`example.com.`)":               "at byte 8: the value of Domain is not a domain name",
		"Domain(`a@example.com`)":              "at byte 8: the value of Domain is not a domain name",
		"Provider(`x`)":                        "at byte 10: the value of Provider is not the providerURL",
		deep:                                   "at byte 34: is nested more than 32 deep",
		strings.Repeat("!", 40) + "Group(`a`)": "nested more than 32 deep",
		"Group(`" + strings.Repeat("a", 5000) + "`)": "is longer than 4096 bytes",
		strings.Repeat("(", 4000):                    "at byte",
	} {
		_, problems := NewAccess(AccessOptions{Rules: []AccessRule{{Paths: []string{"/x"}, Require: expression}}, Lists: lists(t, Rules{}), Providers: []string{"https://id.example"}})
		if len(problems) != 1 || problems[0].Option != "require" || !strings.Contains(problems[0].Text, want) {
			t.Errorf("%.60s:\n got %v\nwant %s", expression, problems, want)
		}
	}
}

func TestAccessProblems(t *testing.T) {
	_, problems := NewAccess(AccessOptions{Lists: lists(t, Rules{}), Rules: []AccessRule{
		{Paths: []string{"admin", "/a/../b", "/ok"}, Methods: []string{"G T"}, Hosts: []string{"https://a.example", "a.example:80", "*"}, Require: "X", Unauthenticated: "maybe"},
		{Paths: []string{"/"}},
		{Paths: []string{"/a"}, Require: "Group(`a`)", Unauthenticated: Pass},
	}})
	want := []string{
		"0 unauthenticated is none of", "0 require at byte 1", `0 paths "admin" does not begin with /`, `0 paths "/a/../b" is not a plain path`, `0 methods "G T" is no method`,
		`0 hosts "https://a.example" is not the name`, `0 hosts "a.example:80" is not the name`, `0 hosts "*" is not the name`, "2 require protects nothing with unauthenticated: pass", "2  is never reached, because accessRules[1] matches every request",
	}
	if len(problems) != len(want) {
		t.Fatalf("%d problems, want %d: %v", len(problems), len(want), problems)
	}
	for i, p := range problems {
		text := strings.Join([]string{string(rune('0' + p.Rule)), p.Option, p.Text}, " ")
		if !strings.HasPrefix(text, want[i]) {
			t.Errorf("got %q, want %q", text, want[i])
		}
	}
	if _, problems = NewAccess(AccessOptions{Lists: lists(t, Rules{}), Rules: make([]AccessRule, 1001)}); len(problems) != 1 {
		t.Errorf("1,001 rules: %v", problems)
	}
}

// chosen says which places decide about a request, and the response without a session.
func chosen(a *Access, method, host, uri string) string {
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return err.Error()
	}
	c := a.Choose(&http.Request{Method: method, Host: host, URL: u, RequestURI: uri, Header: http.Header{}})
	text := "lists"
	if c.Place != PlaceLists {
		text = string(rune('0' + c.Place - 2))
	}
	for _, p := range c.Also {
		text += "+" + string(rune('0'+p-2))
	}
	return text + " " + c.Unauthenticated
}

func TestChoose(t *testing.T) {
	a := access(t,
		AccessRule{Paths: []string{"/admin/open"}, Unauthenticated: Pass},
		AccessRule{Paths: []string{"/admin"}, Require: "Group(`admins`)", Unauthenticated: Deny},
		AccessRule{Paths: []string{"/api"}, Methods: []string{"GET"}, Unauthenticated: Pass},
		AccessRule{Paths: []string{"/api"}, Methods: []string{"DELETE"}, Require: "Group(`admins`)"},
		AccessRule{Hosts: []string{"intern.example"}, Require: "Group(`staff`)"},
		AccessRule{Paths: []string{"/caf\u00e9"}, Require: "Group(`cooks`)"},
	)
	for _, row := range []struct{ name, method, host, uri, want string }{
		{"first match", "GET", "a.example", "/admin/open/x", "0 pass"},
		{"next match", "GET", "a.example", "/admin/x", "1 deny"},
		{"the segment's boundary", "GET", "a.example", "/administrator", "lists auto"},
		{"no match", "GET", "a.example", "/other", "lists auto"},
		{"a method", "GET", "a.example", "/api/x", "2 pass"},
		{"GET includes HEAD", "HEAD", "a.example", "/api/x", "2 pass"},
		{"another method", "DELETE", "a.example", "/api/x", "3 auto"},
		{"a host", "GET", "intern.example", "/other", "4 auto"},
		{"H7 a restricting rule in another case", "GET", "a.example", "/Admin/x", "lists+1 auto"},
		{"H7 a public path in another case is not public", "GET", "a.example", "/admin/OPEN", "1 deny"},
		{"H7 all of it in another case", "GET", "a.example", "/ADMIN/OPEN", "lists+1 auto"},
		{"H7 an ending", "GET", "a.example", "/admin.json", "lists+1 auto"},
		{"H7 an ending of a public path", "GET", "a.example", "/admin/open.json", "1 deny"},
		{"H2 a dot segment out of a public path", "GET", "a.example", "/admin/open/../x", "lists+1+5 auto"},
		{"H3 an encoded slash", "GET", "a.example", "/admin%2fopen", "lists+1+5 auto"},
		{"H6 a path parameter", "GET", "a.example", "/x;/admin", "lists+1+5 auto"},
		{"H7 two slashes", "GET", "a.example", "//admin/open", "lists+1+5 auto"},
		{"fullwidth letters", "GET", "a.example", "/%EF%BD%81dmin/x", "lists+1+5 auto"},
		{"a letter beyond ASCII that the rule has", "GET", "a.example", "/caf%C3%A9/x", "5 auto"},
		{"a decomposed letter", "GET", "a.example", "/cafe%CC%81/x", "lists+5 auto"},
		{"a letter beyond ASCII below another path", "GET", "a.example", "/files/x/%C3%A9", "lists auto"},
		{"a method in small letters", "delete", "a.example", "/api/x", "lists+3 auto"},
		{"H13 a host in capitals, with a dot and a port", "GET", "INTERN.example.:8443", "/other", "4 auto"},
		{"H13 no host", "GET", "", "/other", "lists+4 auto"},
		{"H13 two hosts", "GET", "intern.example,a.example", "/other", "lists+4 auto"},
		{"H13 two ports", "GET", "a.example:1:2", "/other", "lists+4 auto"},
		{"H13 user information", "GET", "intern.example@a.example", "/other", "lists+4 auto"},
		{"H13 a letter that folds to k", "GET", "a.example\u212a", "/other", "lists+4 auto"},
		{"the whole server", "OPTIONS", "a.example", "*", "lists+1+5 auto"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := chosen(a, row.method, row.host, row.uri); got != row.want {
				t.Errorf("%s %s %s: got %s, want %s", row.method, row.host, row.uri, got, row.want)
			}
		})
	}
	t.Run("H9 a header that overrides the method", func(t *testing.T) {
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_METHOD_OVERRIDE", "X.Http_Method-Override", "X-Original-Method", "X-HTTP-MethodOverride"} {
			r := request(t, "GET", "/api/x")
			r.Host = "a.example"
			r.Header.Set(name, "DELETE")
			if c := a.Choose(r); c.Place != PlaceLists || len(c.Also) != 1 || c.Also[0] != 5 || c.Unauthenticated != Auto {
				t.Errorf("%s: %v", name, c)
			}
		}
	})
}

func TestRulesDoNotInheritPass(t *testing.T) {
	a, problems := NewAccess(AccessOptions{Unauthenticated: Pass, Lists: lists(t, Rules{}), Rules: []AccessRule{{Paths: []string{"/account"}}, {Paths: []string{"/wiki"}, Unauthenticated: Redirect}}})
	if problems != nil {
		t.Fatal(problems)
	}
	for uri, want := range map[string]string{"/account/x": "0 auto", "/wiki": "1 redirect", "/": "lists pass", "/ACCOUNT": "lists+0 auto", "/x;y": "lists+0+1 auto"} {
		if got := chosen(a, "GET", "a.example", uri); got != want {
			t.Errorf("%s: got %s, want %s", uri, got, want)
		}
	}
}

// Rules count before public paths.
func TestBypassBehindRules(t *testing.T) {
	b := newBypass(t, "/public")
	a, problems := NewAccess(AccessOptions{Lists: lists(t, Rules{}), Bypass: b, Rules: []AccessRule{{Paths: []string{"/public/intern"}}}})
	if problems != nil {
		t.Fatal(problems)
	}
	for uri, want := range map[string]bool{"/public/x": true, "/public/intern": false, "/public/INTERN": false, "/public/intern/../x": false, "/other": false} {
		if got := a.Choose(request(t, "GET", uri)).Public; got != want {
			t.Errorf("%s: public is %v", uri, got)
		}
	}
}

package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestBoundsOfIDTokens has valid ID tokens that are too large, too deep or have too many
// elements. They are refused, and accepted just below the bound. Each token exceeds only
// one bound.
func TestBoundsOfIDTokens(t *testing.T) {
	s := newSite(t, setup{provider: oidctest.Options{IDTokenLifetime: 600_000_000_000}})
	nested := func(depth int) any {
		var v any = "x"
		for range depth {
			v = []any{v}
		}
		return v
	}
	for _, row := range []struct {
		name  string
		value any // of a claim
		good  bool
	}{
		{"C31 a claim of 150 KB", strings.Repeat("x", 150<<10), true},
		{"C31 a claim of 300 KB", strings.Repeat("x", 300<<10), false},
		{"C31 30 levels", nested(30), true},
		{"C31 33 levels", nested(33), false},
		{"C31 19000 elements", make([]any, 19000), true},
		{"C31 21000 elements", make([]any, 21000), false},
	} {
		t.Run(row.name, func(t *testing.T) { s.in(t).takes(tokenCase{row.name, claim("x", row.value), row.good}) })
	}
}

// TestBoundsOfTemplates has templates that could run long refused, and values that are
// too long left out. A value is cut while it is made, and dropped when it is complete.
// Either keeps the bound, so this fails only without both.
func TestBoundsOfTemplates(t *testing.T) {
	var groups []string
	for i := range 300 {
		groups = append(groups, fmt.Sprintf("group-%03d", i))
	}
	user := oidctest.User{Sub: "u", Email: "u@example.com", EmailVerified: true, Groups: groups, Extra: map[string]any{"few": groups[:2], "three": 3}}
	header := func(value string) map[string]any {
		return map[string]any{"headers": []any{map[string]any{"name": "X-Made", "value": value}}}
	}
	tries := newSite(t, setup{})
	for name, value := range map[string]string{
		"G9 a range within a range":                "{{range .Claims.groups}}{{range $.Claims.groups}}x{{end}}{{end}}",
		"G9 a range within a condition in a range": "{{range .Claims.groups}}{{if .}}{{range $.Claims.groups}}x{{end}}{{end}}{{end}}",
		"G9 a wide format":                         `{{printf "%999999d" 1}}`,
		"G9 a wide format as an argument":          `{{lower (printf "%999999d" 1)}}`,
		"G9 a slice":                               "{{slice .Claims.sub 1}}",
		"G9 a template that includes itself":       `{{template "value" .}}`,
		"G9 a long text":                           strings.Repeat("x", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			if text := tries.in(t).refusedOptions(header(value)); !strings.Contains(text, "headers") || !strings.Contains(text, "X-Made") {
				t.Errorf("the refusal does not name the header: %s", text)
			}
		})
	}
	for _, row := range []struct{ name, value, want string }{
		{"G9 a value that is too long", "{{range .Claims.groups}}" + strings.Repeat("x", 100) + "{{end}}", ""},
		{"G9 the same of a short list", "{{range .Claims.few}}" + strings.Repeat("x", 100) + "{{end}}", strings.Repeat("x", 200)},
		{"G9 counting up to a number", "{{range .Claims.three}}x{{end}}", ""},
		{"G9 a method", "{{.Claims.exp.String}}", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, setup{options: header(row.value), provider: oidctest.Options{Users: []oidctest.User{user}}})
			if got := s.sees(s.signIn(s.browser(), "/", "u")).Header.Get("X-Made"); got != row.want {
				t.Errorf("a header of %d bytes, want %d", len(got), len(row.want))
			}
		})
	}
}

// TestBoundsOfCookies has many cookies with our names. Few of them are read.
func TestBoundsOfCookies(t *testing.T) {
	s := newSite(t, setup{})
	good := cookie + "=" + s.value(s.signedIn("alice"))
	planted := func(n int) string { return strings.Repeat(cookie+"=planted; ", n) }
	t.Run("F24 the eighth session cookie is read", func(t *testing.T) {
		s.in(t).status(s.withCookies(planted(7)+good), http.StatusOK)
	})
	t.Run("F24 the ninth does not", func(t *testing.T) {
		s.in(t).status(s.withCookies(planted(8)+good), http.StatusUnauthorized)
	})
	t.Run("F24 forty cookies of sign-ins", func(t *testing.T) {
		s := s.in(t)
		var pairs []string
		for i := range 40 {
			pairs = append(pairs, fmt.Sprintf("%s-s-%08d=junk", cookie, i))
		}
		p := s.browser().Do(browser.Request{URL: s.url + "/", OneHop: true, NoCookie: true, Header: http.Header{"Cookie": {strings.Join(pairs, "; ")}}})
		if n := len(p.Header.Values("Set-Cookie")); !s.toProvider(p) || n > 17 {
			t.Errorf("status %d, %d cookies are set or deleted, want its own and those of 20 that are one too many", p.Status, n)
		}
	})
}

// TestRateLimitOfEachClient has a client that sends too much use up its own share. Valid
// logout tokens use up none.
func TestRateLimitOfEachClient(t *testing.T) {
	from := func(s *site, address string, r browser.Request) *browser.Page {
		s.t.Helper()
		r.OneHop, r.Header = true, http.Header{"X-Forwarded-For": {address}}
		return s.browser().Do(r)
	}
	options := map[string]any{"rateLimit": 10, "trustedProxies": []any{"127.0.0.0/8"}}

	t.Run("K2 one client's flood of sign-ins is not another's", func(t *testing.T) {
		s := newSite(t, setup{options: options})
		limited := func() bool {
			return from(s, "192.0.2.1", browser.Request{URL: s.url + "/"}).Status == http.StatusTooManyRequests
		}
		eventually.True(t, "the limit of the first client", limited)
		for i := range 15 {
			if !limited() {
				continue // some of its share came back
			}
			if p := from(s, fmt.Sprintf("198.51.100.%d", i), browser.Request{URL: s.url + "/"}); !s.toProvider(p) {
				t.Errorf("another client gets status %d", p.Status)
			}
		}
	})
	t.Run("K3 sign-ins that the provider refuses, of many clients, stop nobody", func(t *testing.T) {
		s := newSite(t, setup{options: options})
		s.provider.Set(func(b *oidctest.Behaviour) { b.TokenError = "invalid_grant" })
		visit := func(address string) *browser.Page {
			b := s.browser()
			b.Header.Set("X-Forwarded-For", address)
			return s.comeBack(b, s.callbackFor(b, "/", "alice"))
		}
		for i := range 12 {
			s.status(visit(fmt.Sprintf("198.%d.0.1", 51+i)), http.StatusBadRequest)
		}
		s.provider.Reset()
		s.status(visit("192.0.2.1"), http.StatusFound)
		if n := s.provider.Count(oidctest.Token); n != 13 {
			t.Errorf("%d calls to the token endpoint, want 13", n)
		}
	})
	t.Run("K2 valid logout tokens, in any number", func(t *testing.T) {
		s := newMovable(t, setup{options: options})
		for range 150 {
			token := s.provider.LogoutToken("client", "nobody", "", nil)
			p := from(s, "192.0.2.1", browser.Request{Method: http.MethodPost, URL: s.url + backPath, Body: "logout_token=" + token})
			if p.Status != http.StatusOK {
				t.Fatalf("status %d: %s", p.Status, p.Body)
			}
		}
	})
}

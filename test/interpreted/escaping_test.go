package interpreted

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// declined returns the page of a sign-in at path that the provider refused. It leads
// back to path.
func (s *site) declined(path string) *browser.Page {
	s.t.Helper()
	b := s.browser()
	callback := edited(s.callbackFor(b, path, "alice"), func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") })
	p := s.comeBack(b, callback)
	s.status(p, http.StatusForbidden)
	return p
}

// TestPagesEscapeTargets has return targets with quotes and ampersands. A page escapes
// them for their context.
func TestPagesEscapeTargets(t *testing.T) {
	const target = `/a?x='-alert(1)-'&y='onclick='alert(1)`

	t.Run("A16 the built-in page", func(t *testing.T) {
		p := newSite(t, setup{}).declined(target)
		want := `href="/a?x=%27-alert%281%29-%27&amp;y=%27onclick=%27alert%281%29"`
		if !strings.Contains(string(p.Body), want) || strings.Contains(string(p.Body), "'-alert") {
			t.Errorf("no %s in %s", want, p.Body)
		}
	})
	t.Run("A16 the operator's page", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "page.html")
		template := `<p title='{{.Target}}'>{{.Target}}</p><p data-x={{.Target}}></p><a onclick="go('{{.Target}}')" href='{{.Target}}'>on</a><script>go('{{.Target}}')</script>`
		if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
			t.Fatal(err)
		}
		p := newSite(t, setup{options: map[string]any{"errorTemplate": file}}).declined(target)
		body := string(p.Body)
		for _, want := range []string{`<p title='/a?x=&#39;-alert`, `>/a?x=&#39;-alert`, `data-x=/a?x&#61;&#39;-alert`, `go('\/a?x=\u0027-alert`, `href='/a?x=%27-alert`} {
			if !strings.Contains(body, want) {
				t.Errorf("no %s in %s", want, body)
			}
		}
		if strings.Contains(body, "'-alert(1)-'") {
			t.Errorf("unescaped: %s", body)
		}
	})
}

// TestClaimsInHeaders has claims with any content. The backend gets one line of printable
// ASCII, which is different for two users.
func TestClaimsInHeaders(t *testing.T) {
	const nick, group = "Zo\u00eb\r\nX-Admin: 1\x00 50% ", "a,b\nc"
	s := newSite(t, setup{
		options: map[string]any{
			"userIdentifierClaim": "nick",
			"headers": []any{
				map[string]any{"name": "X-Template", "value": "<{{.Claims.nick}}>"}, map[string]any{"name": "X-Reference", "value": "<${claims.nick}>"},
				map[string]any{"name": "X-Function", "value": "<{{lower .Claims.nick}}>"}, map[string]any{"name": "X-List", "value": "<{{.Claims.groups}}>"},
				map[string]any{"name": "X-Range", "value": "{{range .Claims.groups}}<{{.}}>{{end}}"}, map[string]any{"name": "X-Join", "value": `{{join ";" .Claims.groups}}`},
				map[string]any{"name": "X-Break", "value": `a{{"\r\nX-Admin: 1"}}`},
				map[string]any{"name": "X-Token", "value": "Bearer {{.AccessToken}}"},
			},
		},
		provider: oidctest.Options{Users: []oidctest.User{{Sub: "u", Groups: []string{group, "staff"}, Extra: map[string]any{"nick": nick}}}},
	})
	// An opaque access token may have any content. Encoded it would be another one, so
	// its header is left out.
	s.provider.Set(func(b *oidctest.Behaviour) {
		b.IDTokenClaims = func(c map[string]any) { delete(c, "at_hash") }
		b.TokenResponse = func(r map[string]any) { r["access_token"] = "a\r\nX-Admin: 1" }
	})
	head := s.sees(s.signIn(s.browser(), "/", "u")).Header
	encoded := "Zo%C3%AB%0D%0AX-Admin: 1%00 50%25%20"
	for name, want := range map[string]string{
		"X-Forwarded-User": encoded, "X-Auth-Request-User": encoded, "X-User-Groups": "a%2Cb%0Ac,staff",
		"X-Template": "<" + encoded + ">", "X-Reference": "<" + encoded + ">", "X-Function": "<zo%C3%AB%0D%0Ax-admin: 1%00 50%25%20>",
		"X-List": "<a%2Cb%0Ac,staff>", "X-Range": "<a%2Cb%0Ac><staff>", "X-Join": "a,b%0Ac;staff", "X-Break": "a%0D%0AX-Admin: 1", "X-Token": "", "X-Admin": "",
	} {
		t.Run("G7 "+name, func(t *testing.T) {
			if got := strings.Join(head[name], "|"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

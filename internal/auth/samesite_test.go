package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/session"
)

// sameSites are the attributes of the session cookie and of the cookies of sign-ins.
var sameSites = []struct {
	name             string
	option           session.SameSite
	session, signIns string
}{
	{"lax", session.Lax, "; SameSite=Lax", "; SameSite=Lax"},
	{"strict", session.Strict, "; SameSite=Strict", "; SameSite=Lax"},
	{"none", session.None, "; SameSite=None", "; SameSite=Lax"},
	{"partitioned", session.Partitioned, "; SameSite=None; Partitioned", "; SameSite=None; Partitioned"},
}

func sameSite(option session.SameSite) func(o *Options) {
	return func(o *Options) { o.Cookies.SameSite = option }
}

func TestSameSite(t *testing.T) {
	for _, row := range sameSites {
		t.Run("F19 "+row.name, func(t *testing.T) {
			s := newSite(t, sameSite(row.option))
			b := s.browser()
			check := func(what string, resp *http.Response, least int) {
				t.Helper()
				lines := resp.Header["Set-Cookie"]
				if len(lines) < least {
					t.Errorf("%s: cookies %q", what, lines)
				}
				for _, line := range lines {
					want := row.signIns
					if strings.HasPrefix(line, cookieName+"=") {
						want = row.session
					}
					if !strings.HasSuffix(line, want) || !strings.Contains(line, "; Secure") {
						t.Errorf("%s: %q does not end in %q", what, line, want)
					}
				}
			}
			long := "/" + strings.Repeat("x", 1500)
			start := b.open(long)
			check("the sign-in", start, 2)
			end := b.open(b.provided(start, "alice"))
			check("the callback", end, 4)
			if row.option == session.Strict {
				page := s.status(end, http.StatusOK)
				if to := end.Header.Get("Refresh"); to != "0; url="+long || !strings.Contains(page, `<a href="`+long+`">Continue</a>`) {
					t.Errorf("Refresh %q, %s", to, page)
				}
			} else {
				s.leads(end, long)
			}
			s.status(b.open("/x"), http.StatusOK)
			check("the sign-out", b.open(logoutPath), 2)
			if len(b.jar) != 0 {
				t.Errorf("cookies after the sign-out: %v", b.jar)
			}
			check("a sign-in that fails", b.open(edited(b.callbackFor("/x", "alice"), func(q url.Values) { q.Set("code", "made-up") })), 1)
			b.jar[cookieName] = "made-up"
			check("a foreign cookie", b.open("/x"), 2)
		})
	}
	t.Run("A16 A2 the page that leads on names the checked target only", func(t *testing.T) {
		s := newSite(t, sameSite(session.Strict))
		for _, target := range []string{"//evil.example/x", `/a?x='"><script>alert(1)</script>`, "/%5Cevil.example"} {
			b := s.browser()
			end := b.open(b.callbackFor(target, "alice"))
			to, page := end.Header.Get("Refresh"), s.status(end, http.StatusOK)
			if !strings.HasPrefix(to, "0; url=/") || strings.HasPrefix(to, "0; url=//") || strings.ContainsAny(to, `"<>\`) || strings.Contains(page, "<script") {
				t.Errorf("%q: Refresh %q, %s", target, to, page)
			}
		}
	})
	t.Run("links of other sites with strict are no loop", func(t *testing.T) {
		s := newSite(t, sameSite(session.Strict))
		b := s.browser()
		for i := 0; i < 2*completedLimit; i++ {
			delete(b.jar, cookieName) // as the browser keeps it from such a request
			resp := b.send(s.handler, b.request(http.MethodGet, "/x", map[string]string{"Sec-Fetch-Site": "cross-site"}))
			s.status(b.open(b.provided(resp, "alice")), http.StatusOK)
		}
		delete(b.jar, cookieName)
		s.says(b.open("/x"), http.StatusBadGateway, "sign_in_repeats")
	})
}

func TestFramesOfOtherSites(t *testing.T) {
	frame := map[string]string{"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
	framable := func(resp *http.Response) bool {
		return resp.Header.Get("X-Frame-Options") == "" && !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	}
	for _, row := range sameSites {
		t.Run("L36 "+row.name, func(t *testing.T) {
			s := newSite(t, sameSite(row.option))
			b := s.browser()
			resp := b.send(s.handler, b.request(http.MethodGet, "/x?a=1&b=2", frame))
			if row.option != session.None {
				s.leadsToProvider(resp, b)
				return
			}
			page := s.status(resp, http.StatusUnauthorized)
			if !strings.Contains(page, `<a href="/x?a=1&amp;b=2" target="_blank" rel="noopener">Sign in</a>`) || strings.Contains(page, "<form") || !framable(resp) || len(resp.Cookies()) != 0 {
				t.Errorf("headers %v: %s", resp.Header, page)
			}
			s.leadsToProvider(b.open("/x?a=1&b=2"), b)
			for name, target := range map[string]string{"the callback": callbackPath + "?code=x&state=x", "the sign-out": logoutPath} {
				resp := b.send(s.handler, b.request(http.MethodGet, target, frame))
				if framable(resp) || resp.StatusCode == http.StatusFound {
					t.Errorf("%s in a frame: status %d, headers %v", name, resp.StatusCode, resp.Header)
				}
			}
		})
	}
}

func TestSignOutsThatDoNotSayWhoAskedForThem(t *testing.T) {
	for _, row := range sameSites {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(fmt.Sprintf("L35 I1 %s of %s", method, row.name), func(t *testing.T) {
				s := newSite(t, sameSite(row.option))
				b := s.browser()
				b.open(b.callbackFor("/", "alice"))
				resp := b.send(s.handler, b.request(method, logoutPath, map[string]string{"Sec-Fetch-Site": "-", "Sec-Fetch-Mode": "-"}))
				confirmed := row.option == session.None || row.option == session.Partitioned
				if signedOut := b.jar[cookieName] == ""; signedOut == confirmed || confirmed != (resp.StatusCode == http.StatusOK) {
					t.Errorf("status %d, signed out: %v", resp.StatusCode, signedOut)
				}
			})
		}
	}
}

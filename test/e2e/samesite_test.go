package e2e

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// sameSiteVisit is the report of a browser about a site and another one that leads to it.
type sameSiteVisit struct {
	Error                        string
	Pages                        []string
	First, Linked, Framed, Again string // the text of the backend
	Offered                      string // the link in the frame
	Opener                       bool   // the window has no opener
	Script, Posted               int
	Cookies, Both, Afterwards    []sameSiteCookie
}

type sameSiteCookie struct {
	Name, SameSite string
	Secure         bool
	Partition      any
}

// sessions are the session cookies among all.
func sessions(all []sameSiteCookie) (found []sameSiteCookie) {
	for _, c := range all {
		if c.Name == "__Host-oidc" {
			found = append(found, c)
		}
	}
	return found
}

// TestSameSite tests cookieSameSite in a real browser. Another site links to the
// protected one, posts to it and has it in a frame.
func TestSameSite(t *testing.T) {
	const said = "alice@example.com"
	visit := func(t *testing.T, option, flow, auto string) (sameSiteVisit, *oidctest.Provider) {
		t.Helper()
		secret := oidctest.NewSecret()
		provider := oidctest.New(oidctest.Options{SigningAlg: "ES256", ClientSecret: secret, AutoLogin: auto})
		t.Cleanup(provider.Close)
		site, other := sameSiteSite(t, provider.URL(), secret, option), otherSite(t)
		r := &rig{t: t, site: &nowhere}
		var v sameSiteVisit
		r.chromium("samesite.mjs", map[string]any{"site": site, "other": other, "mode": flow}, &v)
		if v.Error != "" {
			t.Fatalf("%s\n%s", v.Error, strings.Join(v.Pages, "\n"))
		}
		return v, provider
	}
	for option, want := range map[string]string{"lax": "Lax", "strict": "Strict"} {
		t.Run("F19 "+option, func(t *testing.T) {
			v, _ := visit(t, option, "top", "")
			for path, got := range map[string]string{"/first?a=1": v.First, "/linked": v.Linked, "/again": v.Again} {
				if got != path+" "+said {
					t.Errorf("%s: %q", path, got)
				}
			}
			if v.Script != http.StatusOK || v.Posted != http.StatusUnauthorized {
				t.Errorf("a script gets %d, a form of another site %d", v.Script, v.Posted)
			}
			if s := sessions(v.Cookies); len(s) != 1 || s[0].SameSite != want || !s[0].Secure {
				t.Errorf("cookies %+v", v.Cookies)
			}
		})
	}
	t.Run("L35 I1 none", func(t *testing.T) {
		v, _ := visit(t, "none", "none", "")
		if v.Offered != "Sign in in a new window" || v.First != "/framed?a=1 "+said || v.Framed != v.First || !v.Opener {
			t.Errorf("%+v", v)
		}
		if v.Posted != http.StatusOK || v.Again != "/still "+said {
			t.Errorf("a form of another site gets %d; after a frame with the sign-out, %q", v.Posted, v.Again)
		}
		if s := sessions(v.Cookies); len(s) != 1 || s[0].SameSite != "None" || !s[0].Secure {
			t.Errorf("cookies %+v", v.Cookies)
		}
		if s := sessions(v.Afterwards); len(s) != 0 {
			t.Errorf("after the sign-out %+v", s)
		}
	})
	t.Run("F19 partitioned", func(t *testing.T) {
		v, provider := visit(t, "partitioned", "partitioned", "alice")
		if v.Framed != "/framed?a=1 "+said || v.First != "/first "+said || v.Again != "/again "+said {
			t.Errorf("%+v", v)
		}
		if n := provider.Count(oidctest.Token); n != 2 {
			t.Errorf("%d sign-ins", n)
		}
		for _, c := range append(v.Cookies, v.Both...) {
			if c.SameSite != "None" || !c.Secure || fmt.Sprint(c.Partition) == "" {
				t.Errorf("cookie %+v", c)
			}
		}
		if in, both, out := sessions(v.Cookies), sessions(v.Both), sessions(v.Afterwards); len(in) != 1 || len(both) != 2 || len(out) != 1 || out[0].Partition == in[0].Partition {
			t.Errorf("session cookies %+v, then %+v, after the frame's sign-out %+v", in, both, out)
		}
	})
}

// nowhere is the site of a test that needs no rig.
var nowhere site

// sameSiteSite starts a site with a backend that writes the path and the user.
func sameSiteSite(t *testing.T, issuer, secret, option string) string {
	t.Helper()
	c := traefikoidc.CreateConfig()
	c.ProviderURL = issuer
	c.ClientID = "client"
	c.ClientSecret = secret
	c.SessionEncryptionKey = oidctest.NewSecret()
	c.CallbackURL = "/callback"
	c.CookieSameSite = option
	h, err := traefikoidc.New(context.Background(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.RequestURI(), " ", r.Header.Get("X-Forwarded-User"))
	}), c, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return "https://" + appHost + ":" + port(t, s.URL)
}

// otherSite starts a site with a page for each way to lead to another site.
func otherSite(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := html.EscapeString(r.URL.Query().Get("to"))
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/link":
			fmt.Fprintf(w, `<!doctype html><a href="%s">on</a>`, to)
		case "/form":
			fmt.Fprintf(w, `<!doctype html><form method="post" action="%s"><button>on</button></form>`, to)
		case "/frame":
			fmt.Fprintf(w, `<!doctype html><iframe name="framed" src="%s" width="600" height="500"></iframe>`, to)
		}
	}))
	t.Cleanup(s.Close)
	return "http://other.localhost:" + port(t, s.URL)
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

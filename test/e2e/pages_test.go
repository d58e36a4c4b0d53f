package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/traefikoidc/traefikoidc"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// pageLook is the report of Chromium and axe-core about a page.
type pageLook struct {
	Name, Scheme, Language, Title, Heading, Background string
	Width                                              int
	Violations, Links                                  []string
	Overflows                                          bool
}

// TestPagesAreAccessible fails if axe-core finds a violation of WCAG 2.2 AA in a
// built-in page, in light and dark, at 390 and 1280 px, in each language. PICTURES
// names a directory for pictures of them.
func TestPagesAreAccessible(t *testing.T) {
	secret := oidctest.NewSecret()
	provider := oidctest.New(oidctest.Options{SigningAlg: "ES256", AutoLogin: "bob", ClientSecret: secret})
	t.Cleanup(provider.Close)
	gone := oidctest.New(oidctest.Options{SigningAlg: "ES256"})
	gone.Close()
	up := pageSite(t, provider.URL(), secret)
	down := pageSite(t, gone.URL(), secret)
	for _, language := range []string{"en", "de", "fr", "es"} {
		t.Run(language, func(t *testing.T) {
			r := &rig{t: t, site: &site{}}
			var seen struct {
				Error   string
				Looks   []pageLook
				Refused []string
			}
			r.chromium("pages.mjs", map[string]any{
				"site": up, "down": down, "logout": "/callback/logout", "language": language, "pictures": os.Getenv("PICTURES"),
			}, &seen)
			if seen.Error != "" {
				t.Fatal(seen.Error)
			}
			if len(seen.Looks) != 20 || len(seen.Refused) > 0 {
				t.Errorf("%d looks; refused by the policy: %v", len(seen.Looks), seen.Refused)
			}
			ground := map[string]string{}
			for _, l := range seen.Looks {
				if len(l.Violations) > 0 || l.Overflows || l.Language != language || l.Title != l.Heading || len(l.Links) == 0 {
					t.Errorf("%s, %s, %d px: %+v", l.Name, l.Scheme, l.Width, l)
				}
				if other, found := ground[l.Name]; found && l.Scheme == "dark" && other == l.Background {
					t.Errorf("%s looks the same in light and dark", l.Name)
				}
				if l.Scheme == "light" {
					ground[l.Name] = l.Background
				}
			}
		})
	}
}

// pageSite starts a site behind the plugin that only Alice may use.
func pageSite(t *testing.T, issuer, secret string) string {
	t.Helper()
	c := traefikoidc.CreateConfig()
	c.ProviderURL = issuer
	c.ClientID = "client"
	c.ClientSecret = secret
	c.SessionEncryptionKey = oidctest.NewSecret()
	c.CallbackURL = "/callback"
	c.AllowedUsers = []string{"alice@example.com"}
	c.ForceHTTPS = false
	h, err := traefikoidc.New(context.Background(), http.NotFoundHandler(), c, "pages")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

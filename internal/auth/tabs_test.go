package auth

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestTabsDoNotEndEachOthersSession(t *testing.T) {
	s := newSite(t, nil)
	b := s.browser()
	one, two := b.open("/one"), b.open("/two")
	s.turn(time.Second)
	s.leads(b.open(b.provided(one, "alice")), "/one")
	loading := b.jar[cookieName] // the first page loads its parts with it
	s.leads(b.open(b.provided(two, "alice")), "/two")
	s.status(b.open("/two"), http.StatusOK)
	b.jar[cookieName] = loading
	s.status(b.script("/part"), http.StatusOK)

	t.Run("F1 another user's is ended", func(t *testing.T) {
		b := s.browser()
		one, two := b.open("/one"), b.open("/two")
		s.turn(time.Second)
		s.leads(b.open(b.provided(one, "alice")), "/one")
		before := b.jar[cookieName]
		s.leads(b.open(b.provided(two, "bob")), "/two")
		if body := s.status(b.open("/"), http.StatusOK); !strings.HasSuffix(body, "bob@example.com") {
			t.Error(body)
		}
		b.jar[cookieName] = before
		s.status(b.script("/"), http.StatusUnauthorized)
	})
	t.Run("F1 one from before this sign-in is ended", func(t *testing.T) {
		b := s.signedIn("alice")
		before := b.jar[cookieName]
		s.leads(b.open(b.callbackInTab("/", "alice")), "/")
		if b.jar[cookieName] == before {
			t.Error("the same session")
		}
		b.jar[cookieName] = before
		s.status(b.script("/"), http.StatusUnauthorized)
	})
}

// A tab that begins to sign in while the session of another one is on its way has no
// cookie of it yet.
func TestATabThatBeginsWhileAnotherSignsIn(t *testing.T) {
	for name, during := range map[string]string{"L32 while userinfo is fetched": "userinfo", "L32 while the session is stored": "Add", "L32 while the cookie is under way": ""} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(o *Options) { o.UserInfo = UserInfoAlways })
			b := s.browser()
			callback := b.callbackFor("/one", "alice")
			var two *http.Response
			begins := func() {
				if two == nil {
					two = b.open("/two")
				}
			}
			s.provider.Set(func(p *oidctest.Behaviour) {
				p.UserInfo = func(map[string]any) {
					if during == "userinfo" {
						s.turn(2 * cache.ClockSkew)
						begins()
					}
				}
			})
			s.store.hooked(func(method string) {
				if method == during {
					s.turn(time.Second)
					begins()
				}
			})
			s.leads(b.open(callback), "/one")
			loading := b.jar[cookieName]
			if during == "" {
				delete(b.jar, cookieName)
				s.turn(time.Second)
				begins()
				b.jar[cookieName] = loading
			}
			s.turn(time.Second)
			s.leads(b.open(b.provided(two, "alice")), "/two")
			b.jar[cookieName] = loading
			s.status(b.script("/part"), http.StatusOK)
		})
	}
}

func TestManyTabsAtOnce(t *testing.T) {
	const redirects = 20 // that a browser follows
	for _, tabs := range []int{20, 60} {
		t.Run(fmt.Sprintf("L32 B6 %d tabs", tabs), func(t *testing.T) {
			s := newSite(t, nil)
			b := s.browser()
			starts := make([]*http.Response, tabs)
			for i := range starts {
				starts[i] = b.open("/tab") // cookies go round in the order of the starts
			}
			s.turn(time.Second)
			var wg sync.WaitGroup
			for i := range starts {
				wg.Add(1)
				go func(resp *http.Response) {
					defer wg.Done()
					followed := 0
					for resp.StatusCode == http.StatusFound {
						to := resp.Header.Get("Location")
						followed++
						if b.toProvider(resp) {
							u, err := s.provider.Visit(to, "alice")
							if err != nil {
								t.Error(err)
								return
							}
							to = u.RequestURI()
							followed++
						}
						if followed > redirects {
							t.Errorf("a browser gives up after %d redirects", redirects)
							return
						}
						resp = b.open(to)
					}
					if resp.StatusCode != http.StatusOK {
						t.Errorf("a tab ends at status %d", resp.StatusCode)
					}
				}(starts[i])
			}
			wg.Wait()
			s.status(b.open("/"), 200)
		})
	}
}

// Tabs whose callbacks come in the order in which they began.
func TestTabsInStep(t *testing.T) {
	for _, tabs := range []int{6, 20, 60} {
		t.Run(fmt.Sprintf("L32 B6 %d tabs", tabs), func(t *testing.T) {
			s := newSite(t, nil)
			b := s.browser()
			at := make([]*http.Response, tabs)
			for i := range at {
				at[i] = b.open(fmt.Sprintf("/tab/%d", i))
			}
			for round := 0; round < 6; round++ {
				for i, resp := range at {
					if resp.StatusCode == http.StatusFound && b.toProvider(resp) {
						at[i] = b.open(b.provided(resp, "alice"))
					}
				}
			}
			for i, resp := range at {
				s.leads(resp, fmt.Sprintf("/tab/%d", i))
			}
			if n := len(b.jar); n > 7 {
				t.Errorf("%d cookies", n)
			}
		})
	}
	t.Run("L32 B6 each of 20 tabs gets the page of its failure", func(t *testing.T) {
		s := newSite(t, nil)
		b := s.browser()
		at := make([]*http.Response, 20)
		for i := range at {
			at[i] = b.open("/tab")
		}
		s.provider.Set(func(p *oidctest.Behaviour) { p.AuthorizeError = "access_denied" })
		for _, resp := range at {
			s.says(b.open(b.provided(resp, "alice")), http.StatusForbidden, "access_denied")
		}
	})
}

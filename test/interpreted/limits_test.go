package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestInventedKeys: logout tokens come from anybody. Those that name invented keys
// must not make a token refresh fail whose key is new.
func TestInventedKeys(t *testing.T) {
	t.Run("L13 logout tokens of invented keys during a rotation: the refresh goes through", func(t *testing.T) {
		s := newMovable(t, setup{})
		m := s.member("alice")
		before := s.me(m)
		s.expire()
		throttled := 0
		for i := range 6 {
			forged := oidctest.NewKey("ES256")
			forged.ID = fmt.Sprint("invented-", i)
			d := s.tell(s.provider.LogoutTokenBy(forged, "client", m.sub, m.sid, nil))
			if d.Status != http.StatusBadRequest {
				t.Errorf("status %d", d.Status)
			}
			if strings.Contains(d.Body, "temporarily_unavailable") {
				throttled++
			}
		}
		if throttled == 0 {
			t.Error("no logout token is throttled")
		}
		s.provider.Rotate()
		s.provider.Retire()
		s.renewed(m, before)
		s.refreshes(1)
		if n := s.provider.Count(oidctest.Revocation); n != 0 {
			t.Errorf("%d tokens were revoked", n)
		}
	})
}

// fromAddress has the requests of b come through a proxy from an address; the site
// has to trust 127.0.0.0/8.
func fromAddress(b *browser.Browser, url, address string) *browser.Page {
	return b.Do(browser.Request{URL: url, OneHop: true, Header: http.Header{"X-Forwarded-For": {address}}})
}

// TestLimits: rateLimit is of the networks that one client can have.
func TestLimits(t *testing.T) {
	t.Run("L12 a /48 has four times what an address has", func(t *testing.T) {
		s := newSite(t, setup{options: map[string]any{"rateLimit": 10, "trustedProxies": []any{"127.0.0.0/8"}}})
		begun := time.Now()
		started := 0
		for i := range 300 {
			p := fromAddress(s.browser(), s.url+"/page", fmt.Sprintf("2001:db8:1:%x::%x", i<<8, i))
			if s.toProvider(p) {
				started++
			} else {
				s.status(p, http.StatusTooManyRequests)
			}
		}
		seconds := int(time.Since(begun)/time.Second) + 1
		if most := 80 + 40*seconds; started < 80 || started > most {
			t.Errorf("%d of 300 networks of one /48 could start a sign-in in %d s, at most %d may", started, seconds, most)
		}
		if p := fromAddress(s.browser(), s.url+"/page", "2001:db8:2::1"); !s.toProvider(p) {
			t.Errorf("of another /48: status %d", p.Status)
		}
		if p := fromAddress(s.browser(), s.url+"/page", "192.0.2.7"); !s.toProvider(p) {
			t.Errorf("of IPv4: status %d", p.Status)
		}
	})
}

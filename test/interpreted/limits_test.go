package interpreted

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// TestInventedKeys has logout tokens with invented keys. Anybody can send those. They
// must not make a token refresh with a new key fail.
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
		s.refreshed(m, before)
		s.refreshes(1)
		if n := s.provider.Count(oidctest.Revocation); n != 0 {
			t.Errorf("%d tokens were revoked", n)
		}
	})
}

// fromAddress has the requests of b come through a proxy from an address. The site has to
// trust 127.0.0.0/8.
func fromAddress(b *browser.Browser, url, address string) *browser.Page {
	return b.Do(browser.Request{URL: url, OneHop: true, Header: http.Header{"X-Forwarded-For": {address}}})
}

// TestLimits has rateLimit apply to the network of a client.
func TestLimits(t *testing.T) {
	t.Run("L12 a /48 has four times the rate of an address", func(t *testing.T) {
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

// TestMadeUpCodes has callbacks with made-up codes. They harm only the client that sends
// them.
func TestMadeUpCodes(t *testing.T) {
	proxied := map[string]any{"trustedProxies": []any{"127.0.0.0/8"}}
	madeUp := func(s *site, b *browser.Browser, code string) string {
		return edited(s.callbackFor(b, "/page", "bob"), func(q url.Values) { q.Set("code", code) }).String()
	}

	t.Run("L3 K3 a code that is none", func(t *testing.T) {
		s := newSite(t, setup{})
		for name, code := range map[string]string{
			"NUL": "\x00", "a line break": "a\r\nb", "a tab": "a\tb", "DEL": "a\x7f", "beyond ASCII": "aé", "no UTF-8": "a\xff", "too long": strings.Repeat("a", 4097),
		} {
			b := s.browser()
			callback := s.callbackFor(b, "/page", "bob")
			p := s.denied(b, edited(callback, func(q url.Values) { q.Set("code", code) }))
			if p.Status != http.StatusBadRequest {
				t.Errorf("%s: status %d", name, p.Status)
			}
			s.status(s.comeBack(b, callback), http.StatusFound) // nothing was used up
		}
	})

	t.Run("L3 K3 those of one network that make the provider fail stop nobody else", func(t *testing.T) {
		s := newSite(t, setup{options: proxied})
		m := s.signedIn("alice")
		s.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Token] = oidctest.Fault{Status: 500} })
		for i := range 24 {
			address := "192.0.2.1"
			if i%2 == 1 {
				address = fmt.Sprintf("2001:db8:1:%x::1", i<<8)
			}
			b := s.browser()
			s.status(fromAddress(b, madeUp(s, b, "made-up"), address), http.StatusServiceUnavailable)
		}
		s.provider.Reset()
		b := s.browser()
		s.status(fromAddress(b, s.callbackFor(b, "/page", "carol").String(), "198.51.100.7"), http.StatusFound)
		s.status(m.Fetch(s.url+"/x"), http.StatusOK)
	})

	t.Run("L11 L3 during the endpoint's pause they use up nothing", func(t *testing.T) {
		s := newMovable(t, setup{options: proxied})
		b := s.browser()
		callback := s.callbackFor(b, "/page", "alice")
		s.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Token] = oidctest.Fault{Status: 500} })
		put := func(i int) *browser.Page {
			b := s.browser()
			return fromAddress(b, madeUp(s, b, "made-up"), fmt.Sprintf("192.0.2.%d", i%4))
		}
		eventually.True(t, "the breaker opens", func() bool {
			calls := s.provider.Count(oidctest.Token)
			for i := range 4 {
				s.status(put(i), http.StatusServiceUnavailable)
			}
			return s.provider.Count(oidctest.Token) == calls
		})
		calls := s.provider.Count(oidctest.Token)
		p := s.comeBack(b, callback)
		if p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
			t.Errorf("status %d, %v", p.Status, p.Header)
		}
		if s.provider.Count(oidctest.Token) != calls {
			return // the breaker's pause was over, because this machine is slow
		}
		s.provider.Reset()
		s.pass(11 * time.Second)
		if p := s.comeBack(b, callback); p.Header.Get("Location") != "/page" {
			t.Errorf("later: status %d to %q", p.Status, p.Header.Get("Location"))
		}
	})

	t.Run("L4 K4 150 of one client at once leave others their places", func(t *testing.T) {
		s := newMovable(t, setup{options: proxied})
		m := s.member("alice")
		before := s.me(m)
		flood := make([]string, 150)
		browsers := make([]*browser.Browser, len(flood))
		for i := range flood {
			browsers[i] = s.browser()
			flood[i] = madeUp(s, browsers[i], "made-up")
		}
		b := s.browser()
		callback := s.callbackFor(b, "/page", "bob").String()
		calls := s.provider.Count(oidctest.Token)
		hold := make(chan struct{})
		s.provider.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Token] = oidctest.Fault{Hold: hold} })
		answered := make(chan int, len(flood))
		for i := range flood {
			go func() { answered <- fromAddress(browsers[i], flood[i], "192.0.2.1").Status }()
		}
		eventually.True(t, "the flood's places are taken", func() bool { return s.provider.Count(oidctest.Token)-calls >= 26 })
		s.provider.Reset()
		s.status(fromAddress(b, callback, "198.51.100.7"), http.StatusFound)
		s.expire()
		s.refreshed(m, before)
		if n := s.provider.Count(oidctest.Token) - calls - 2; n > 32 {
			t.Errorf("%d calls of the flood are under way", n)
		}
		close(hold)
		for range flood {
			if status := <-answered; status != http.StatusBadRequest {
				t.Errorf("of the flood: status %d", status)
			}
		}
	})
}

package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/session"
)

// countMarkers counts the replay markers that are written.
func (s *site) countMarkers() *atomic.Int64 {
	n := &atomic.Int64{}
	s.store.hooked(func(method string) {
		if method == "Mark" {
			n.Add(1)
		}
	})
	return n
}

// madeUp sends a callback with a made-up code, of a sign-in of b, from an address.
func (b *browser) madeUp(address string) *http.Response {
	b.Helper()
	callback := edited(b.callbackFor("/page", "bob"), func(q url.Values) { q.Set("code", "made-up") })
	r := b.request(http.MethodGet, callback, nil)
	r.RemoteAddr = address + ":1"
	return b.send(b.handler, r)
}

func TestReplayMarkers(t *testing.T) {
	t.Run("L11 a sign-in writes one", func(t *testing.T) {
		s := newSite(t, nil)
		n := s.countMarkers()
		s.signedIn("alice")
		if n.Load() != 1 {
			t.Errorf("%d markers", n.Load())
		}
		if got := s.markers.young; got.total != 0 || len(got.networks) != 0 {
			t.Errorf("it counts as one of a failed sign-in: %v", got)
		}
	})
	t.Run("L11 L3 callbacks write none while the breaker is open, and can come again", func(t *testing.T) {
		s := newSite(t, nil)
		b := s.browser()
		callback := b.callbackFor("/page", "alice")
		s.provider.Set(func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{Status: 500} })
		for i := 0; i < 6; i++ {
			s.says(s.browser().madeUp(fmt.Sprint("192.0.2.", i)), http.StatusServiceUnavailable, "provider_unreachable")
		}
		n := s.countMarkers()
		calls := s.provider.Count(oidctest.Token)
		for i := 0; i < 50; i++ {
			s.says(s.browser().madeUp("192.0.2.1"), http.StatusServiceUnavailable, "provider_unreachable")
		}
		resp := b.open(callback)
		s.says(resp, http.StatusServiceUnavailable, "provider_unreachable")
		if n.Load() != 0 || s.provider.Count(oidctest.Token) != calls {
			t.Errorf("%d markers, %d calls", n.Load(), s.provider.Count(oidctest.Token)-calls)
		}
		s.provider.Reset()
		s.turn(11 * time.Second)
		s.leads(b.open(callback), "/page")
	})
	t.Run("L3 K3 made-up codes of one network that make the provider fail stop nobody else", func(t *testing.T) {
		s := newSite(t, nil)
		for _, address := range []string{"192.0.2.1", "[2001:db8:1:%x00::1]"} {
			s.provider.Set(func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{Status: 500} })
			for i := 0; i < 20; i++ {
				from := address
				if address[0] == '[' {
					from = fmt.Sprintf(address, i)
				}
				s.says(s.browser().madeUp(from), http.StatusServiceUnavailable, "provider_unreachable")
			}
			s.provider.Reset()
			s.signedIn("alice")
		}
	})
	t.Run("L11 those of callbacks without a session are bounded", func(t *testing.T) {
		s := newSite(t, nil)
		for s.markers.add("192.0.2.1") {
		}
		n := s.countMarkers()
		calls := s.provider.Count(oidctest.Token)
		s.says(s.browser().madeUp("192.0.2.1"), http.StatusTooManyRequests, "too_many_requests")
		if n.Load() != 0 || s.provider.Count(oidctest.Token) != calls {
			t.Errorf("%d markers, %d calls", n.Load(), s.provider.Count(oidctest.Token)-calls)
		}
		s.says(s.browser().madeUp("192.0.2.2"), http.StatusBadRequest, "sign_in_refused")
		if n.Load() != 1 || s.markers.young.networks["192.0.2.2"] != 1 {
			t.Errorf("another network: %d markers", n.Load())
		}
	})
}

func TestMarkersAreCounted(t *testing.T) {
	now := time.Unix(1000, 0)
	c := newMarkerCount(func() time.Time { return now })
	fill := func(network string) int {
		n := 0
		for c.add(network) {
			n++
		}
		return n
	}
	alone := fill("a")
	if alone != markersKept/5+1 {
		t.Errorf("L11 one network has %d of %d", alone, markersKept)
	}
	const others = 200
	for i := 0; i < others; i++ {
		fill(fmt.Sprint("greedy-", i))
	}
	if n := fill("b"); n != markersAnyway || c.young.total > markersKept+others*markersAnyway {
		t.Errorf("L11 one more network has %d, all have %d", n, c.young.total)
	}
	life := session.LoginLifetime + markerSlack
	now = now.Add(life)
	if c.add("a") {
		t.Error("L11 markers are forgotten while they may be there")
	}
	if c.add("b") {
		t.Error("L11 markers are forgotten while they may be there")
	}
	c.remove("b")
	if !c.add("b") {
		t.Error("what was taken back counts")
	}
	now = now.Add(life)
	if n := fill("a"); n < alone-2 {
		t.Errorf("after their end %d", n)
	}
	now = now.Add(2 * life)
	if n := fill("a"); n != alone {
		t.Errorf("after a long time %d, want %d", n, alone)
	}
	for i := 0; i < 3*alone; i++ {
		c.remove("a")
	}
	if c.young.total != 0 || len(c.young.networks) != 0 {
		t.Errorf("left: %+v", c.young)
	}
}

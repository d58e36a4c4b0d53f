package auth

import (
	"fmt"
	"net/http"
	"testing"
)

// fills makes requests of a client that take all the places that it may have.
func (s *site) fills(format string) int {
	held := 0
	for i := 0; i < visitPlaces; i++ {
		if s.admit(from(fmt.Sprintf(format, i))) != nil {
			held++
		}
	}
	return held
}

func TestVisitsAreSharedFairly(t *testing.T) {
	for _, row := range []struct{ name, format, remote string }{
		{"L12 K4 one address has a part of the places", "192.0.2.1:%d", "192.0.2.1:1"},
		{"L12 K4 one /48 has a part of the places", "[2001:db8:1:%x::1]:1", "[2001:db8:1::1]:1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, nil)
			if held := s.fills(row.format); held < 200 || held > visitPlaces/4 {
				t.Errorf("%d of %d", held, visitPlaces)
			}
			b := s.browser()
			r := b.request(http.MethodGet, "/", nil)
			r.RemoteAddr = row.remote
			s.says(b.send(s.handler, r), http.StatusTooManyRequests, "too_many_requests")
			r = b.request(http.MethodGet, "/", nil)
			r.RemoteAddr = "198.51.100.7:1"
			s.leadsToProvider(b.send(s.handler, r), b)
		})
	}
	t.Run("L12 a visit that is over, or was refused, holds no place", func(t *testing.T) {
		s := newSite(t, func(o *Options) {
			channels(o)
			o.Rate = 10
		})
		b := s.browser()
		for i := 0; i < 10; i++ {
			for _, path := range []string{"/", callbackPath, callbackPath + "?code=x&state=y", logoutPath, backchannelPath, frontchannelPath, frontchannelPath + "?iss=x&sid=y"} {
				b.open(path)
			}
			s.deliver("x")
		}
		for i := 0; i < visitPlaces/5; i++ {
			if !s.visits.TryTake("192.0.2.1") {
				t.Fatalf("%d places are left", i)
			}
		}
	})
}

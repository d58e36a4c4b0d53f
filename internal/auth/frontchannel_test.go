package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// framed asks for the front channel as the provider's page does.
func (s *site) framedLogout(sid string) *http.Response {
	q := url.Values{"iss": {s.provider.URL()}, "sid": {sid}}
	return s.answer(s.handler, httptest.NewRequest(http.MethodGet, "http://"+siteHost+frontchannelPath+"?"+q.Encode(), nil))
}

// Anybody can ask for the front channel with any sid. What they ask for ends the
// sessions that there are, and is not remembered: neither does it fill the store, nor
// does it end a session that is yet to come.
func TestAFrontchannelLogoutIsNotRemembered(t *testing.T) {
	t.Run("K1 BL21 made-up sids leave nothing in the store", func(t *testing.T) {
		s := newSite(t, channels)
		s.signedIn("alice")
		before := s.store.Stats()
		for i := 0; i < 50; i++ {
			s.status(s.framedLogout(fmt.Sprint("made-up-", i)), http.StatusOK)
		}
		if after := s.store.Stats(); after.Entries != before.Entries || after.Bytes != before.Bytes {
			t.Errorf("%d entries, %d before", after.Entries, before.Entries)
		}
	})
	t.Run("BL21 a sid of nobody keeps nobody from signing in with it", func(t *testing.T) {
		s := newSite(t, channels)
		s.provider.Set(func(b *oidctest.Behaviour) { b.SessionIDs = oidctest.PersonalSessionIDs })
		s.status(s.framedLogout("sid-of-alice"), http.StatusOK)
		b := s.signedIn("alice")
		if sid := b.sid(); sid != "sid-of-alice" {
			t.Fatalf("the sid is %q", sid)
		}
		s.alive(b)
		s.status(s.framedLogout("sid-of-alice"), http.StatusOK)
		s.gone(b)
		s.alive(s.signedIn("alice"))
	})
}

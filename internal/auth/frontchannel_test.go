package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// framedLogout requests the front channel as the provider's page does.
func (s *site) framedLogout(sid string) *http.Response {
	q := url.Values{"iss": {s.provider.URL()}, "sid": {sid}}
	return s.answer(s.handler, httptest.NewRequest(http.MethodGet, "http://"+siteHost+frontchannelPath+"?"+q.Encode(), nil))
}

// Any client can request the front channel with any sid. The request ends the existing
// sessions and leaves no entry. So it does not fill the store, and it does not end a
// later session.
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
	t.Run("BL21 an unknown sid prevents no later sign-in with it", func(t *testing.T) {
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

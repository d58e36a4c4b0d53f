package interpreted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
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

package interpreted

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

const (
	backPath  = "/oidc/backchannel"
	frontPath = "/oidc/frontchannel"
)

var (
	movableOnce sync.Once
	movablePlug *loader.Plugin
)

// movable is the plugin in an interpreter with a clock that the tests advance, one after
// the other.
func movable(t testing.TB) *loader.Plugin {
	t.Helper()
	movableOnce.Do(func() { movablePlug = loader.LoadAlone(t) })
	if movablePlug == nil {
		t.Fatal("the plugin did not load")
	}
	return movablePlug
}

// channels are options with both channels for logouts on, and headers with the values
// that tests read at the backend.
func channels(more map[string]any) map[string]any {
	options := map[string]any{
		"enableBackchannelLogout": true, "backchannelLogoutURL": backPath,
		"enableFrontchannelLogout": true, "frontchannelLogoutURL": frontPath, "logLevel": "debug",
		"headers": []any{
			map[string]any{"name": "X-Sid", "value": "${claims.sid}"}, map[string]any{"name": "X-Sub", "value": "${claims.sub}"},
			map[string]any{"name": "X-Access", "value": "${accessToken}"}, map[string]any{"name": "X-Refresh", "value": "${refreshToken}"},
		},
	}
	maps.Copy(options, more)
	return options
}

// newMovable returns a site. Its plugin and provider have one clock that can be advanced.
func newMovable(t testing.TB, s setup) *site {
	t.Helper()
	s.plugin = movable(t)
	s.provider.Now = s.plugin.Clock.Now
	s.options = channels(s.options)
	logged := s.plugin.Log.Len()
	t.Cleanup(func() {
		if t.Failed() {
			text := s.plugin.Log.Since(logged)
			t.Logf("the end of the plugin's log:\n%s", text[max(0, len(text)-3000):])
		}
	})
	return newSite(t, s)
}

// pass advances the clock of the plugin and the provider.
func (s *site) pass(d time.Duration) { s.plugin.Clock.Pass(d) }

// A member is a signed-in user with one browser.
type member struct {
	*browser.Browser
	sub, sid string
}

func (s *site) member(user string) member {
	s.t.Helper()
	b := s.signedIn(user)
	seen := s.sees(b.Fetch(s.url + "/"))
	return member{b, seen.Header.Get("X-Sub"), seen.Header.Get("X-Sid")}
}

// alive fails the test unless the members are signed in.
func (s *site) alive(members ...member) {
	s.t.Helper()
	for _, m := range members {
		if p := m.Fetch(s.url + "/"); p.Status != http.StatusOK {
			s.t.Errorf("%s: status %d, want a live session: %s", m.sub, p.Status, p.Body)
		} else if got := s.sees(p).Header.Get("X-Sub"); got != m.sub {
			s.t.Errorf("the session of %s is one of %s", m.sub, got)
		}
	}
}

// gone fails the test unless the members' sessions ended. API clients get 401, and users
// are redirected to sign in.
func (s *site) gone(members ...member) {
	s.t.Helper()
	s.untouched(func() {
		for _, m := range members {
			if p := m.Fetch(s.url + "/"); p.Status != http.StatusUnauthorized {
				s.t.Errorf("%s: status %d, want a session that ended", m.sub, p.Status)
			}
			if p := m.Do(browser.Request{URL: s.url + "/", Method: http.MethodPost, From: s.home(), Body: "x=1", OneHop: true}); p.Status != http.StatusUnauthorized {
				s.t.Errorf("%s: a form gets status %d", m.sub, p.Status)
			}
			if p := m.Hop(s.url + "/"); !s.toProvider(p) {
				s.t.Errorf("%s: a navigation gets status %d", m.sub, p.Status)
			}
		}
	})
}

// token returns a logout token of the provider for a member. edit may be nil.
func (s *site) token(m member, edit func(header, claims map[string]any)) string {
	return s.provider.LogoutToken("client", m.sub, m.sid, edit)
}

// tell sends a logout token to the back channel, as the provider does.
func (s *site) tell(token string) oidctest.Delivery {
	s.t.Helper()
	return s.provider.SendLogoutToken(s.url+backPath, token)
}

// delivered has the provider send the logout token again while the back channel is
// busy. It fails the test unless the back channel accepts it then.
func (s *site) delivered(token string) {
	s.t.Helper()
	var d oidctest.Delivery
	eventually.True(s.t, "a place for a delivery", func() bool {
		d = s.tell(token)
		if d.Status == http.StatusTooManyRequests {
			s.pass(time.Second)
			return false
		}
		return true
	})
	s.taken(d)
}

// taken fails the test unless the back channel accepted the logout token.
func (s *site) taken(d oidctest.Delivery) {
	s.t.Helper()
	if d.Status != http.StatusOK || strings.TrimSpace(d.Body) != "" {
		s.t.Errorf("the answer to the logout token has status %d: %s", d.Status, d.Body)
	}
	s.unstored(d.Header)
}

// turnedDown fails the test unless the back channel refused the logout token with
// an OAuth error (Back-Channel Logout 1.0, section 2.8).
func (s *site) turnedDown(d oidctest.Delivery, status int) {
	s.t.Helper()
	var problem struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(d.Body), &problem); d.Status != status || err != nil || problem.Error == "" {
		s.t.Errorf("status %d, want %d with an OAuth error: %s", d.Status, status, d.Body)
	}
	if d.Status == http.StatusBadRequest && problem.Error != "invalid_request" {
		s.t.Errorf("the error is %q", problem.Error)
	}
	if kind := d.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		s.t.Errorf("an error of the type %q", kind)
	}
	s.unstored(d.Header)
}

// unstored fails the test unless a response may not be stored, and has no other effect.
func (s *site) unstored(h http.Header) {
	s.t.Helper()
	if !strings.Contains(h.Get("Cache-Control"), "no-store") || h.Get("Location") != "" || h.Get("Set-Cookie") != "" {
		s.t.Errorf("the answer's headers are %v", h)
	}
}

// claimsOf returns the claims of a JWT.
func (s *site) claimsOf(token string) map[string]any {
	s.t.Helper()
	claims := map[string]any{}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		s.t.Fatalf("no JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		s.t.Fatalf("no JWT: %q", token)
	}
	return claims
}

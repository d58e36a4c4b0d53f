package auth

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/policy"
	"github.com/traefikoidc/traefikoidc/session"
)

const (
	backchannelPath  = "/oidc/backchannel"
	frontchannelPath = "/oidc/frontchannel"
)

// channels turns on the provider's logouts, and sends the sid of a session to the
// backend.
func channels(o *Options) {
	tellingTokens(o)
	o.BackchannelPath = backchannelPath
	o.FrontchannelPath = frontchannelPath
}

// delivery returns the request with a logout token.
func delivery(token string) *http.Request {
	form := url.Values{"logout_token": {token}}
	r := httptest.NewRequest(http.MethodPost, "http://"+siteHost+backchannelPath, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = "192.0.2.9:1234"
	return r
}

func (s *site) answer(h http.Handler, r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}

func (s *site) deliver(token string) *http.Response {
	return s.answer(s.handler, delivery(token))
}

// taken checks a response to a logout that was done.
func (s *site) taken(resp *http.Response) {
	s.Helper()
	if body := s.status(resp, 200); body != "" || resp.Header.Get("Cache-Control") != "no-store" {
		s.Errorf("BL19: %q, %v", body, resp.Header)
	}
}

// turnedDown checks a response to a logout that was refused.
func (s *site) turnedDown(resp *http.Response, status int, code string) {
	s.Helper()
	var v map[string]string
	body := s.status(resp, status)
	if err := json.Unmarshal([]byte(body), &v); err != nil || v["error"] != code || v["error_description"] == "" || len(v) != 2 {
		s.Errorf("%q, want the error %s", body, code)
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "application/json" || len(resp.Cookies()) != 0 {
		s.Errorf("BL19: %v", resp.Header)
	}
}

// gone checks that a session was ended.
func (s *site) gone(b *browser) {
	s.Helper()
	s.status(b.script("/"), http.StatusUnauthorized)
}

func (s *site) alive(b *browser) {
	s.Helper()
	s.status(b.script("/"), http.StatusOK)
}

// sid returns the provider's name for the session of b.
func (b *browser) sid() string {
	b.Helper()
	return b.told().Get("X-Sid")
}

func TestTheProviderEndsSessions(t *testing.T) {
	s := newSite(t, channels)
	replica := s.another(channels).Handler(http.HandlerFunc(s.backend))
	group := s.another(func(o *Options) {
		channels(o)
		o.Identity = "another group"
	})
	token := func(sub, sid string) string { return s.provider.LogoutToken("client", sub, sid, nil) }
	t.Run("I6 BL15 a sid, on every replica and in every group", func(t *testing.T) {
		a, b := s.signedIn("alice"), s.signedIn("alice")
		elsewhere := s.browser()
		h := group.Handler(http.HandlerFunc(s.backend))
		callback := s.provided(elsewhere.send(h, elsewhere.request("GET", "/", nil)), "alice")
		elsewhere.send(h, elsewhere.request("GET", callback, nil))
		s.status(a.send(replica, a.request("GET", "/", nil)), 200)
		sid := a.sid()
		s.alive(b)
		s.taken(s.answer(replica, delivery(token("", sid))))
		s.gone(a)
		s.status(a.send(replica, a.request("GET", "/", map[string]string{"Sec-Fetch-Mode": "cors"})), 401)
		s.alive(b)
		s.status(elsewhere.send(h, elsewhere.request("GET", "/", nil)), 200)
		s.taken(s.deliver(token("alice", "")))
		s.gone(b)
		s.status(elsewhere.send(h, elsewhere.request("GET", "/", map[string]string{"Sec-Fetch-Mode": "cors"})), 401)
	})
	s.turn(2 * time.Second)
	t.Run("BL16 sid and sub have to agree", func(t *testing.T) {
		a, b := s.signedIn("alice"), s.signedIn("bob")
		s.taken(s.deliver(token("bob", a.sid())))
		s.alive(a)
		s.alive(b)
		s.taken(s.deliver(token("alice", a.sid())))
		s.gone(a)
		s.alive(b)
	})
	s.turn(2 * time.Second)
	t.Run("BL9 once, also at another replica", func(t *testing.T) {
		a := s.signedIn("alice")
		once := token("alice", "")
		s.taken(s.deliver(once))
		s.gone(a)
		s.turn(2 * time.Second)
		b := s.signedIn("alice")
		s.turnedDown(s.answer(replica, delivery(once)), 400, "invalid_request")
		s.turnedDown(s.answer(group.Handler(nil), delivery(once)), 400, "invalid_request")
		s.alive(b)
	})
	s.turn(2 * time.Second)
	t.Run("BL9 J14 many at once: one is answered 200", func(t *testing.T) {
		a := s.signedIn("alice")
		once := token("alice", "")
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for i := 0; i < 16; i++ {
			wg.Add(1)
			go func(h http.Handler) {
				defer wg.Done()
				resp := s.answer(h, delivery(once))
				mu.Lock()
				statuses[resp.StatusCode]++
				mu.Unlock()
			}([]http.Handler{s.handler, replica}[i%2])
		}
		wg.Wait()
		if statuses[200] != 1 || statuses[400] != 15 {
			t.Errorf("statuses %v", statuses)
		}
		s.gone(a)
	})
	t.Run("a user without a session", func(t *testing.T) { s.taken(s.deliver(token("carol", "nobody"))) })
	t.Run("the provider is down, its keys are known", func(t *testing.T) {
		s.turn(2 * time.Second)
		a := s.signedIn("alice")
		late := token("alice", "")
		s.provider.Close()
		s.taken(s.deliver(late))
		s.gone(a)
	})
	if strings.Contains(s.log.String(), "alice") || strings.Contains(s.log.String(), "eyJ") {
		t.Error("K8: the log tells too much")
	}
}

func TestDeliveriesThatAreNotTaken(t *testing.T) {
	s := newSite(t, func(o *Options) {
		channels(o)
		o.Bypass, _ = policy.NewBypass([]string{"/oidc"})
	})
	b := s.signedIn("alice")
	good := s.provider.LogoutToken("client", "alice", "", nil)
	set := func(name, value string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	body := func(text string) func(r *http.Request) {
		return func(r *http.Request) {
			*r = *httptest.NewRequest(r.Method, "http://"+siteHost+backchannelPath, strings.NewReader(text))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.RemoteAddr = "192.0.2.9:1234"
		}
	}
	for _, row := range []struct {
		name   string
		change func(r *http.Request)
		status int
	}{
		{"BL12 GET", func(r *http.Request) { r.Method = "GET" }, 405},
		{"BL12 PUT", func(r *http.Request) { r.Method = "PUT" }, 405},
		{"BL12 JSON", set("Content-Type", "application/json"), 400},
		{"BL12 multipart", set("Content-Type", "multipart/form-data; boundary=x"), 400},
		{"BL12 a raw JWT", set("Content-Type", "application/jwt"), 400},
		{"BL12 no type", func(r *http.Request) { r.Header.Del("Content-Type") }, 400},
		{"BL12 two types", func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }, 400},
		{"BL12 10 MB", body("logout_token=" + strings.Repeat("x", 10<<20)), 413},
		{"BL12 a body that is one byte too large", body(strings.Repeat("x", maxLogoutBody+1)), 413},
		{"BL12 two tokens", body("logout_token=" + good + "&logout_token=" + good), 400},
		{"BL12 none", body("token=" + good), 400},
		{"BL12 an empty one", body("logout_token="), 400},
		{"BL12 no form", body("%zz"), 400},
		{"BL12 in the query too", func(r *http.Request) { r.URL.RawQuery = "logout_token=" + good }, 400},
		{"BL12 a malformed query", func(r *http.Request) { r.URL.RawQuery = "%zz" }, 400},
		{"BL13 a JWE", body("logout_token=a.b.c.d.e"), 400},
		{"BL1 no signature", body("logout_token=" + oidctest.NewKey("none").SignClaims(map[string]any{"sub": "alice"}, nil)), 400},
		{"BL10 an ID token", body("logout_token=" + s.provider.IDToken("client", "alice", "n", nil)), 400},
		{"BL4 of another client", body("logout_token=" + s.provider.LogoutToken("other", "alice", "", nil)), 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := delivery(good)
			row.change(r)
			resp := s.answer(s.handler, r)
			s.turnedDown(resp, row.status, "invalid_request")
			if (resp.Header.Get("Allow") == "POST") != (row.status == 405) {
				t.Errorf("Allow is %q", resp.Header.Get("Allow"))
			}
			s.alive(b)
		})
	}
	t.Run("HEAD has no body", func(t *testing.T) {
		r := delivery(good)
		r.Method = "HEAD"
		if body := s.status(s.answer(s.handler, r), 405); body != "" {
			t.Error(body)
		}
	})
	if s.hits() != 0 && s.seen[len(s.seen)-1].URL.Path == backchannelPath {
		t.Error("BL22: the backend was reached")
	}
	s.taken(s.deliver(good))
	s.gone(b)
	t.Run("the path is the backend's where the channel is off", func(t *testing.T) {
		off := s.another(tellingTokens).Handler(http.HandlerFunc(s.backend))
		s.status(s.answer(off, delivery(good)), 401)
	})
}

func TestALogoutThatNotEveryoneCanBeTold(t *testing.T) {
	for _, method := range []string{"Revoke", "Exists", "Mark"} {
		t.Run("BL18 the store fails: "+method, func(t *testing.T) {
			s := newSite(t, channels)
			b := s.signedIn("alice")
			s.alive(b)
			token := s.provider.LogoutToken("client", "alice", "", nil)
			s.store.failing(method)
			resp := s.deliver(token)
			s.turnedDown(resp, 400, "temporarily_unavailable")
			if resp.Header.Get("Retry-After") == "" {
				t.Error("nobody is told to come again")
			}
			s.store.failing()
			s.taken(s.deliver(token)) // the provider delivers it again
			s.gone(b)
		})
	}
	t.Run("K2 an outage of ours is not the provider's fault", func(t *testing.T) {
		s := newSite(t, func(o *Options) {
			channels(o)
			o.Rate = 10
		})
		s.store.failing("Revoke")
		for i := 0; i < 40; i++ {
			s.turnedDown(s.deliver(s.provider.LogoutToken("client", "alice", "", nil)), 400, "temporarily_unavailable")
		}
	})
	t.Run("the keys cannot be fetched", func(t *testing.T) {
		s := newSite(t, channels)
		token := s.provider.LogoutToken("client", "alice", "", nil)
		s.provider.Close()
		s.turnedDown(s.deliver(token), 400, "temporarily_unavailable")
	})
}

func TestAFloodOfLogoutTokens(t *testing.T) {
	now := time.Now() // does not advance, or a slow machine would get new tokens meanwhile
	s := newSite(t, func(o *Options) {
		channels(o)
		o.Rate = 10
		o.Now = func() time.Time { return now }
	})
	foreign := oidctest.NewKey("RS256")
	foreign.ID = "unknown"
	refused := 0
	for i := 0; i < 100; i++ {
		resp := s.deliver(foreign.SignClaims(map[string]any{"iss": s.provider.URL(), "aud": "client"}, nil))
		if resp.StatusCode == http.StatusTooManyRequests {
			s.turnedDown(resp, 429, "temporarily_unavailable")
			refused++
		}
	}
	if refused < 60 || s.provider.Count(oidctest.JWKS) > 6 {
		t.Errorf("BL20: %d of 100 were not looked at, the keys were fetched %d times", refused, s.provider.Count(oidctest.JWKS))
	}
	t.Run("BL20 logouts of other clients are served", func(t *testing.T) {
		r := delivery(s.provider.LogoutToken("client", "alice", "", nil))
		r.RemoteAddr = "192.0.2.10:1234"
		s.taken(s.answer(s.handler, r))
	})
	t.Run("K2 the provider's own, however many", func(t *testing.T) {
		for i := 0; i < 100; i++ {
			r := delivery(s.provider.LogoutToken("client", "alice", "", nil))
			r.RemoteAddr = "192.0.2.11:1234"
			s.taken(s.answer(s.handler, r))
		}
	})
}

func TestALogoutDuringASignIn(t *testing.T) {
	s := newSite(t, channels)
	s.Middleware.revokedPause = time.Millisecond
	b := s.browser()
	callback := b.callbackFor("/page", "alice")
	// The logout is of the second in which the ID token will be issued, or later.
	s.provider.Set(func(p *oidctest.Behaviour) {
		p.IDTokenClaims = func(c map[string]any) { c["iat"] = s.now().Add(-2 * time.Second).Unix() }
	})
	s.taken(s.deliver(s.provider.LogoutToken("client", "alice", "", nil)))
	resp := b.open(callback)
	s.leadsToProvider(resp, b)
	if b.jar[cookieName] != "" {
		t.Error("BL17: a session was made")
	}
	eventually.True(s, "the tokens are revoked", func() bool { return s.provider.Count(oidctest.Revocation) == 1 })
	s.provider.Set(func(p *oidctest.Behaviour) { p.IDTokenClaims = nil })
	s.turn(2 * time.Second)
	s.leads(b.open(s.provided(resp, "alice")), "/page")
	s.alive(b)
	t.Run("BL17 again and again: the user gets a page", func(t *testing.T) {
		b := s.browser()
		s.provider.Set(func(p *oidctest.Behaviour) {
			p.IDTokenClaims = func(c map[string]any) { c["iat"] = s.now().Add(-time.Minute).Unix() }
		})
		resp := b.open("/page")
		for i := 0; i <= attemptsLimit; i++ {
			resp = b.open(s.provided(resp, "alice"))
		}
		s.says(resp, 400, "signed_out_meanwhile")
	})
}

// provided is browser.provided for a client that follows resp.
func (s *site) provided(resp *http.Response, user string) string {
	s.Helper()
	u, err := s.provider.Visit(resp.Header.Get("Location"), user)
	if err != nil {
		s.Fatal(err)
	}
	return u.RequestURI()
}

func TestFrontchannelLogout(t *testing.T) {
	s := newSite(t, func(o *Options) {
		channels(o)
		o.Bypass, _ = policy.NewBypass([]string{"/oidc"})
	})
	b := s.signedIn("alice")
	sid := b.sid()
	frame := func(method, query string) *http.Response {
		r := httptest.NewRequest(method, "http://"+siteHost+frontchannelPath+"?"+query, nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Dest", "iframe")
		return s.answer(s.handler, r)
	}
	query := func(iss, sid string) string { return url.Values{"iss": {iss}, "sid": {sid}}.Encode() }
	framing := func(t *testing.T, resp *http.Response) {
		t.Helper()
		h := resp.Header
		if h.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors "+s.provider.URL() || h.Get("X-Frame-Options") != "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", h)
		}
	}
	for _, row := range []struct {
		name, method, query string
		status              int
	}{
		{"BL21 POST", "POST", query(s.provider.URL(), sid), 405},
		{"BL21 no iss", "GET", "sid=" + sid, 400},
		{"BL21 another iss", "GET", query("https://evil.example", sid), 400},
		{"BL21 iss with a slash more", "GET", query(s.provider.URL()+"/", sid), 400},
		{"BL21 no sid", "GET", "iss=" + url.QueryEscape(s.provider.URL()), 400},
		{"BL21 an empty sid", "GET", query(s.provider.URL(), ""), 400},
		{"BL21 two sids", "GET", query(s.provider.URL(), sid) + "&sid=other", 400},
		{"BL21 a sid that is too long", "GET", query(s.provider.URL(), strings.Repeat("x", 2000)), 400},
		{"BL21 a malformed query", "GET", "%zz", 400},
		{"BL21 a query that is too long", "GET", query(s.provider.URL(), sid) + "&x=" + strings.Repeat("x", 1<<15), 400},
		{"BL21 a foreign sid: the response reveals nothing", "GET", query(s.provider.URL(), "foreign"), 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp := frame(row.method, row.query)
			s.status(resp, row.status)
			framing(t, resp)
			s.alive(b)
		})
	}
	t.Run("BL18 not every replica can learn of it", func(t *testing.T) {
		s.store.failing("Revoke")
		defer s.store.failing()
		resp := frame("GET", query(s.provider.URL(), sid))
		s.status(resp, 503)
		framing(t, resp)
	})
	other := s.signedIn("alice")
	foreign := s.status(frame("GET", query(s.provider.URL(), "foreign")), 200)
	if own := s.status(frame("GET", query(s.provider.URL(), sid)), 200); own != foreign {
		t.Error("BL21: the answer tells which sids exist")
	}
	s.gone(b)
	s.alive(other)
	if n := s.provider.Count(oidctest.Revocation); n != 0 {
		t.Errorf("BL21: %d tokens were revoked at the provider", n)
	}
}

func TestAFloodOfFrames(t *testing.T) {
	s := newSite(t, func(o *Options) {
		channels(o)
		o.Rate = 10
	})
	statuses := map[int]int{}
	for i := 0; i < 100; i++ {
		r := httptest.NewRequest("GET", "http://"+siteHost+frontchannelPath+"?sid=x", nil)
		statuses[s.answer(s.handler, r).StatusCode]++
	}
	if statuses[429] < 60 || statuses[400] == 0 {
		t.Errorf("BL20: statuses %v", statuses)
	}
}

func TestALogoutEndsATokenRefresh(t *testing.T) {
	s := newSite(t, channels)
	b, _ := s.expired("alice")
	hold := make(chan struct{})
	s.provider.Set(func(p *oidctest.Behaviour) { p.Faults[oidctest.Token] = oidctest.Fault{Hold: hold} })
	done := make(chan *http.Response)
	go func() { done <- b.script("/") }()
	eventually.True(s, "the provider is asked", func() bool { return s.provider.Count(oidctest.Token) == 2 })
	s.taken(s.deliver(s.provider.LogoutToken("client", "alice", "", nil)))
	close(hold)
	s.status(<-done, http.StatusUnauthorized)
	s.gone(b)
}

func TestEndingsAreOfTheTokensTime(t *testing.T) {
	s := newSite(t, channels)
	b := s.signedIn("alice")
	old := s.provider.LogoutToken("client", "alice", "", func(_, c map[string]any) {
		c["iat"] = s.now().Add(-3 * time.Minute).Unix()
	})
	s.taken(s.deliver(old))
	s.alive(b) // signed in after that
	if err := s.sessions.EndAll(context.Background(), session.Ending{Issuer: s.provider.URL(), Subject: "alice", Before: s.now()}); err != nil {
		t.Fatal(err)
	}
	s.gone(b)
}

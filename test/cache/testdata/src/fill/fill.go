// Package fill makes sessions as the middleware does, compiled or interpreted.
package fill

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/session"
)

// A Store is a Hybrid on a server and a Manager on it.
type Store struct {
	hybrid  *hybrid.Hybrid
	manager *session.Manager
	groups  int
	header  string // of the tokens
	filler  string // the text that fills them
	request *http.Request
}

var store *Store

const cookie = "__Host-oidc"

// preparer computes the standard headers.
type preparer struct {
	prepared int
}

// Prepare implements session.Preparer.
func (p *preparer) Prepare(s *session.Session) session.View {
	p.prepared++
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(s.IDToken, ".")[1])
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	claims := map[string]any{}
	if err := d.Decode(&claims); err != nil {
		return session.View{}
	}
	var groups []string
	for _, g := range claims["groups"].([]any) {
		groups = append(groups, g.(string))
	}
	set, _ := headers.Build(headers.User{Name: claims["email"].(string), Groups: groups}, nil, headers.Data{})
	view := session.View{Allowed: true, Subject: strings.Clone(claims["sub"].(string)[:12])}
	for _, h := range set {
		view.Headers = append(view.Headers, session.Field{Name: h.Name, Value: h.Value})
	}
	return view
}

// Start connects to a server, and waits until changes by others arrive.
func Start(address, prefix string, groups int) string {
	o := resp.Options{Address: address, OperationTimeout: 10 * time.Second, PoolSize: 4}
	h := hybrid.New(hybrid.Options{
		Redis:  redis.Options{Server: o, Prefix: prefix},
		Memory: cache.MemoryOptions{MaxEntries: 1 << 20, MaxBytes: 4 << 30},
	})
	h.Start()
	keys, err := session.NewKeyring([][]byte{[]byte("Xk3vN8qLr5TzB1wYc7HdJm0PfSgUa2Ei")})
	if err != nil {
		return err.Error()
	}
	p := &preparer{}
	var made session.Preparer = p
	store = &Store{
		hybrid: h, groups: groups, filler: strings.Repeat("eyJhbGciOiJSUzI1NiIsImtpZCI6IjE3", 128),
		header: base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"2f8c1d3e5b7a","typ":"JWT"}`)),
	}
	store.manager = session.NewManager(session.Options{
		Backend: h, Keys: keys, Identity: "identity", Client: "client", Cookies: session.Cookies{Name: cookie, Secure: true},
		MaxAge: 24 * time.Hour, Preparer: made, MaxOpened: 1 << 20, MaxBytes: 4 << 30,
	})
	store.request, err = http.NewRequest(http.MethodGet, "https://app.example/", nil)
	if err != nil {
		return err.Error()
	}
	for i := 0; i < 1000; i++ {
		if x := h.Stats(); x.Connected && x.Tracking {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "not in touch with the server"
}

// Make signs users in, each with one session that is then opened by its cookie. It
// returns the number of bytes of their tokens, and an error text.
func Make(from, to int) (int, string) {
	tokens := 0
	for i := from; i < to; i++ {
		n, err := makeOne(i)
		if err != nil {
			return 0, err.Error()
		}
		tokens += n
	}
	return tokens, ""
}

// makeOne makes one session. The lengths of the tokens vary, so that the mean shows the
// rounding of allocators.
func makeOne(i int) (int, error) {
	now := time.Now()
	id := fmt.Sprintf("%08d-5a1f-4c0e-9b7d-3e2c1a9f8d60", i)
	sid := fmt.Sprintf("%08d-93d1-4e0b-8c55-7f1e2d3c4b5a", i)
	var groups []string
	for g := 0; g < store.groups; g++ {
		groups = append(groups, "team-"+strconv.Itoa(i%1000)+"-role-"+strconv.Itoa(g))
	}
	payload, err := json.Marshal(map[string]any{
		"iss": "https://id.example.com/realms/main", "aud": "client", "sub": id, "sid": sid, "iat": now.Unix(), "exp": now.Unix() + 300,
		"email": "user" + strconv.Itoa(i) + "@example.com", "email_verified": true, "name": "User " + strconv.Itoa(i), "groups": groups,
	})
	if err != nil {
		return 0, err
	}
	s := &session.Session{
		Created: now, AccessExpiry: now.Add(5 * time.Minute),
		IDToken:      store.header + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + store.filler[:342],
		AccessToken:  store.filler[:900+i*7%512],
		RefreshToken: store.filler[:500+i*13%512],
	}
	origin := session.Origin{Issuer: "https://id.example.com/realms/main", Subject: id, SessionID: sid, Issued: now}
	value, err := store.manager.Create(context.Background(), s, 0, origin)
	if err != nil {
		return 0, err
	}
	store.request.Header["Cookie"] = []string{cookie + "=" + value}
	if err := keepOpened(value); err != nil {
		return 0, err
	}
	return len(s.IDToken) + len(s.AccessToken) + len(s.RefreshToken), nil
}

// keepOpened loads a session until memory holds it opened. A record that is read while
// Redis reports its write is not kept.
func keepOpened(value string) error {
	for i := 0; i < 1000; i++ {
		opened, err := store.manager.Load(context.Background(), store.request)
		if err != nil {
			return err
		}
		if !opened.Allowed || len(opened.Headers) < 3 {
			return fmt.Errorf("the session opens without its headers: %d", len(opened.Headers))
		}
		if isOpened(value) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("memory does not hold the session opened")
}

func isOpened(value string) bool {
	hot := store.manager.Hot()
	hot.Mu.Lock()
	defer hot.Mu.Unlock()
	return hot.Opened[value] != nil
}

// Held is the number of sealed and of opened sessions in memory.
func Held() (int, int) {
	hot := store.manager.Hot()
	hot.Mu.Lock()
	opened := len(hot.Opened)
	hot.Mu.Unlock()
	return store.hybrid.Stats().Memory.Entries, opened
}

// Stop ends the connections and drops the sessions in memory.
func Stop() {
	store.manager.Close()
	store.hybrid.Close()
	store = nil
}

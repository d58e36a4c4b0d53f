package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

const (
	testCallback = "https://app.example/callback"
	testNonce    = "nonce-of-the-request"
)

// A clock moves only when a test moves it.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A bed is a provider and a relying party that share a clock.
type bed struct {
	op    *oidctest.Provider
	rp    *Provider
	clock *clock
}

func newBed(t testing.TB, op oidctest.Options, rp Options) *bed {
	t.Helper()
	b := &bed{clock: &clock{now: time.Unix(1800000000, 0)}}
	op.Now = b.clock.Now
	if op.SigningAlg == "" {
		op.SigningAlg = "ES256"
	}
	b.op = oidctest.New(op)
	t.Cleanup(b.op.Close)
	b.rp = b.relyingParty(rp)
	return b
}

// relyingParty makes another relying party of the same provider.
func (b *bed) relyingParty(o Options) *Provider {
	if o.Issuer == "" {
		o.Issuer = b.op.URL()
	}
	if o.ClientID == "" {
		o.ClientID = "client"
	}
	if o.ClientSecret == "" {
		o.ClientSecret = "secret"
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: NewTransport(TransportOptions{AllowPrivate: true})}
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute // longer than any call takes on a slow machine
	}
	o.AllowInsecureHTTP = true
	o.Now = b.clock.Now
	return NewProvider(o)
}

// setTimeout sets the timeout of later calls.
func (b *bed) setTimeout(timeout time.Duration) {
	for _, e := range []*endpoint{b.rp.discovery.call, b.rp.keys.call, b.rp.token, b.rp.refresh, b.rp.userinfo, b.rp.revocation} {
		e.timeout = timeout
	}
}

// isSlow reports whether a fault delays the response.
func isSlow(f oidctest.Fault) bool { return f.Slow > 0 || f.Hold != nil }

// sent repeats call until it reaches the token endpoint, checks that it did so once,
// and returns its error. If the fault delays the response, each try has more time than
// the one before.
func (b *bed) sent(t *testing.T, fault oidctest.Fault, call func() error) error {
	t.Helper()
	for timeout := 200 * time.Millisecond; timeout < time.Minute; timeout *= 2 {
		if isSlow(fault) {
			b.setTimeout(timeout)
		}
		before := b.op.Count(oidctest.Token)
		err := call()
		if n := b.op.Count(oidctest.Token) - before; n == 1 {
			return err
		} else if n > 1 {
			t.Errorf("E16 sent %d times", n)
		}
	}
	t.Fatal("never sent")
	return nil
}

// code signs alice in and returns the code.
func (b *bed) code(t testing.TB) string {
	t.Helper()
	u, err := b.rp.AuthURL(context.Background(), AuthRequest{
		RedirectURI: testCallback, State: "state", Nonce: testNonce, Verifier: "verifier", Scopes: []string{"openid"},
	})
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.op.Visit(u, "alice")
	if err != nil {
		t.Fatal(err)
	}
	return back.Query().Get("code")
}

func (b *bed) redeem(t testing.TB) (*Tokens, error) {
	t.Helper()
	return b.rp.Redeem(context.Background(), Exchange{Code: b.code(t), Verifier: "verifier", RedirectURI: testCallback})
}

func (b *bed) tokens(t testing.TB) *Tokens {
	t.Helper()
	tokens, err := b.redeem(t)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// claims returns the claims of a valid ID token.
func (b *bed) claims() map[string]any {
	now := b.clock.Now().Unix()
	return map[string]any{
		"iss": b.op.URL(), "aud": "client", "sub": "alice", "nonce": testNonce,
		"iat": now, "exp": now + 300,
	}
}

func (b *bed) verify(raw string) error {
	_, err := b.rp.VerifyIDToken(context.Background(), raw, Expect{Nonce: testNonce})
	return err
}

// failsWith reports whether err is the sentinel and contains text; a nil sentinel:
// whether err is nil.
func failsWith(err, sentinel error, text string) bool {
	if sentinel == nil {
		return err == nil
	}
	return errors.Is(err, sentinel) && strings.Contains(err.Error(), text)
}

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

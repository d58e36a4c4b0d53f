package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/session"
)

// A provider issues refresh tokens. With rotation each is good for one use, and
// a second use ends the family. Its clock is the true one.
type provider struct {
	rotates  bool
	lifetime time.Duration // of access tokens
	trouble  int           // calls in a hundred that fail in some way

	mu      sync.Mutex // guards the fields below
	random  *rand.Rand
	tokens  map[string]*family // refresh tokens ever issued
	used    map[string]use     // those that were redeemed
	count   int
	reused  []string // the tokens that were used twice, in words
	calls   int
	good    int // calls that brought tokens to a replica
	unknown int // tokens that were used twice because no process was left that knew
	lost    int // calls that used up a token and brought nothing
}

// A use is the first use of a token.
type use struct {
	by *replica
	at time.Time
}

// A family has the tokens that descend from one sign-in.
type family struct {
	name    string
	ended   bool // by the provider's administrator, or by a reuse
	revoked bool // by Discard
	current string
}

func newProvider(random *rand.Rand) *provider {
	return &provider{random: random, tokens: map[string]*family{}, used: map[string]use{}}
}

// begin starts a family.
func (p *provider) begin() (*family, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	f := &family{name: "family-" + strconv.Itoa(p.count)}
	return f, p.issueLocked(f)
}

func (p *provider) issueLocked(f *family) string {
	p.count++
	token := f.name + "-" + strconv.Itoa(p.count)
	p.tokens[token] = f
	f.current = token
	return token
}

// end makes every later use of the family's tokens an invalid_grant.
func (p *provider) end(f *family) {
	p.mu.Lock()
	f.ended = true
	p.mu.Unlock()
}

func (p *provider) ended(f *family) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.ended
}

// The ways in which a call to the provider can go.
type call int

const (
	answered call = iota
	neverSent
	refusedFor // 503: nothing was used up
	lostAnswer // redeemed, and the response is lost
)

var errGrant = errors.New("model: invalid_grant")

// redeem acts as the provider at a refresh.
func (p *provider) redeem(r *replica, token string, sent time.Time) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.tokens[token]
	if f == nil {
		p.reused = append(p.reused, fmt.Sprintf("%q was never issued", token))
		return "", errGrant
	}
	if f.ended {
		return "", errGrant
	}
	if !p.rotates {
		return token, nil
	}
	if first, again := p.used[token]; again {
		f.ended = true
		p.mu.Unlock()
		forgotten := r.w.forgotten(first.by, first.at)
		p.mu.Lock()
		if forgotten {
			p.unknown++
		} else {
			p.reused = append(p.reused, fmt.Sprintf("%s by %s and %s", token, first.by, r))
		}
		return "", errGrant
	}
	p.used[token] = use{by: r, at: sent}
	return p.issueLocked(f), nil
}

// draw chooses the outcome and the duration of a call.
func (p *provider) draw() (call, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	took := time.Duration(1+p.random.IntN(80)) * time.Millisecond
	if p.random.IntN(8) == 0 {
		took = time.Duration(1+p.random.IntN(8000)) * time.Millisecond
	}
	if p.random.IntN(100) >= p.trouble {
		return answered, took
	}
	return call(p.random.IntN(4)), took
}

// Refresh implements session.Refresher for a replica.
func (r *replica) Refresh(ctx context.Context, s *session.Session) (*session.Session, error) {
	p := r.w.provider
	how, took := p.draw()
	r.w.trace("%s: sends %s, %s in %s", r, s.RefreshToken, []string{"answered", "not sent", "refused", "answer lost"}[how], took)
	sent := time.Now()
	time.Sleep(took / 2)
	if how == neverSent || how == refusedFor || r.dead() {
		return nil, errors.New("model: not now")
	}
	next, err := p.redeem(r, s.RefreshToken, sent)
	time.Sleep(took - took/2)
	if how == lostAnswer || r.dead() {
		p.mu.Lock()
		p.lost++
		p.mu.Unlock()
		r.w.trace("%s: no answer to %s", r, s.RefreshToken)
		return nil, fmt.Errorf("model: %w", session.ErrGrantSpent)
	}
	if err != nil {
		r.w.trace("%s: invalid_grant for %s", r, s.RefreshToken)
		return nil, fmt.Errorf("model: %w", session.ErrGrantEnded)
	}
	p.mu.Lock()
	p.good++
	p.mu.Unlock()
	n := *s
	n.RefreshToken = next
	n.AccessExpiry = r.now().Add(p.lifetime)
	n.AccessToken = "access"
	return &n, nil
}

// Discard implements session.Refresher.
func (r *replica) Discard(s *session.Session) {
	r.w.trace("%s: revokes %s", r, s.RefreshToken)
	p := r.w.provider
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.tokens[s.RefreshToken]; f != nil {
		f.revoked = true
	}
}

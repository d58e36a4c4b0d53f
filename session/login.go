package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"sort"
	"strings"
	"sync/atomic"
	"time"
)

const (
	loginInfix   = "-s-"
	loginIDBytes = 6 // 8 characters of a cookie's name
	seedBytes    = 32
	loginsKept   = 5
	// loginsSeen bounds how many sign-in cookies of a request are opened.
	loginsSeen = 20
	stateBytes = 8 + loginIDBytes + 1 + macBytes
	// stateLimit bounds the text of a state parameter that is looked at.
	stateLimit = 2048
)

// LoginLifetime is how long a sign-in may take.
const LoginLifetime = 10 * time.Minute

// ErrState is returned for a state parameter that this middleware did not make.
var ErrState = errors.New("session: the state parameter is not ours")

// ErrLoginExpired is returned with a Login whose time to come back is over.
var ErrLoginExpired = errors.New("session: the sign-in took too long")

// ErrLoginElsewhere is returned with a Login that this browser does not hold: its
// cookie is gone, was never taken, or belongs to another browser. Nothing may be
// redeemed for it.
var ErrLoginElsewhere = errors.New("session: the sign-in was not started in this browser")

// A Login is a sign-in in progress. It lives in the browser only, so that a flood of
// sign-ins costs no memory here: a sealed cookie holds the seed of its secrets, and the
// state parameter, sealed too, holds where the user wanted to go. A target that is too
// long for the state is sealed in a second cookie.
type Login struct {
	State    string // the state parameter (RFC 6749 section 10.12)
	Nonce    string // the nonce parameter (OpenID Connect Core section 3.1.2.1)
	Verifier string // the PKCE code verifier (RFC 7636 section 4.1)
	Target   string // where the user wanted to go: a path of this origin, or a URL
	Attempt  int    // how often this sign-in was started again by itself
	Account  Account
	Started  time.Time
	Expiry   time.Time
	// TargetLost is set by Find where the cookie that held the target is gone.
	TargetLost bool

	id         string // the last part of the cookie's name
	seed       []byte
	targetName string // of the cookie that held the target; empty: the state did
}

// Account is whether a sign-in asked for another account than the one that the
// provider has a session of. It outlives the way to the provider, so that what was
// refused there is not asked for again.
type Account byte

const (
	// AnyAccount is the one that the provider has a session of, if there is one.
	AnyAccount Account = iota
	// ChosenAccount is one that the user chooses.
	ChosenAccount
	// NewAccount is one that the user signs in to.
	NewAccount
)

// accountShift is where the byte with the attempt has the account.
const accountShift = 6

// Logins makes and recognises the sign-ins of one middleware.
type Logins struct {
	Keys     *Keyring
	Identity string // issuer, relying party and group
	Cookies  Cookies
	Now      func() time.Time

	turn atomic.Int64 // counts the targets that were put into cookies
}

// Start returns a new sign-in towards target; attempt, which is less than 64, counts
// the starts that came from a callback of the same journey.
func (l *Logins) Start(target string, attempt int) (*Login, error) {
	return l.StartWith(target, attempt, AnyAccount)
}

// StartWith is Start for a sign-in that asks for an account. A target of more than 2,320
// bytes is an error.
func (l *Logins) StartWith(target string, attempt int, account Account) (*Login, error) {
	if len(target) > cookieTarget {
		return nil, errTargetTooLong
	}
	b, err := random(loginIDBytes + seedBytes)
	if err != nil {
		return nil, err
	}
	now := l.Now()
	g := &Login{
		Target: target, Attempt: attempt, Account: account, Started: now, Expiry: now.Add(LoginLifetime),
		id: base64.RawURLEncoding.EncodeToString(b[:loginIDBytes]), seed: b[loginIDBytes:],
	}
	g.derive()
	plain := make([]byte, 8, stateBytes+len(target))
	binary.BigEndian.PutUint64(plain, uint64(now.UnixMilli()))
	plain = append(plain, b[:loginIDBytes]...)
	plain = append(plain, byte(attempt)|byte(account)<<accountShift)
	plain = append(plain, g.proof()...)
	if len(target) <= stateTarget {
		plain = append(plain, target...)
	}
	g.State, err = l.Keys.Seal("sign-in state", l.Identity, plain)
	return g, err
}

// derive computes what the seed stands for.
func (g *Login) derive() {
	g.Nonce = base64.RawURLEncoding.EncodeToString(g.part("nonce"))
	g.Verifier = base64.RawURLEncoding.EncodeToString(g.part("verifier"))
}

func (g *Login) part(name string) []byte {
	h := hmac.New(sha256.New, g.seed)
	h.Write([]byte(name))
	return h.Sum(nil)
}

// proof ties a state parameter to the seed in the browser.
func (g *Login) proof() []byte {
	return g.part("state")[:macBytes]
}

// Set returns the cookies that a response starting g sets: its own, and the deletion of
// those that are expired, foreign, or one too many.
func (l *Logins) Set(g *Login, r *http.Request) ([]*http.Cookie, error) {
	name := l.cookieName(g.id)
	value, err := l.Keys.Seal("sign-in cookie "+name, l.Identity, append(expiryBytes(g.Expiry), g.seed...))
	if err != nil {
		return nil, err
	}
	set := []*http.Cookie{l.Cookies.Set(name, value, LoginLifetime)}
	if len(g.Target) > stateTarget {
		c, err := l.setTarget(g, r)
		if err != nil {
			return nil, err
		}
		set = append(set, c)
	}
	for _, old := range l.surplus(r) {
		set = append(set, l.Cookies.Delete(old))
	}
	return set, nil
}

// Find returns the sign-in that a callback's state names. Only ErrState comes without a
// Login; the other errors come with its Target, unless it is lost, and its Attempt.
func (l *Logins) Find(state string, r *http.Request) (*Login, error) {
	if len(state) > stateLimit {
		return nil, ErrState
	}
	plain, err := l.Keys.Open("sign-in state", l.Identity, state)
	if err != nil || len(plain) < stateBytes {
		return nil, ErrState
	}
	started := time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	g := &Login{
		State:   state,
		Target:  string(plain[stateBytes:]),
		Attempt: int(plain[8+loginIDBytes] & (1<<accountShift - 1)),
		Account: Account(plain[8+loginIDBytes] >> accountShift),
		Started: started,
		Expiry:  started.Add(LoginLifetime),
		id:      base64.RawURLEncoding.EncodeToString(plain[8 : 8+loginIDBytes]),
	}
	if g.Target == "" {
		l.findTarget(g, r)
	}
	if !l.Now().Before(g.Expiry) {
		return g, ErrLoginExpired
	}
	for _, v := range values(r.Header["Cookie"], l.cookieName(g.id)) {
		g.seed, _, err = l.openCookie(l.cookieName(g.id), v)
		if err == nil && hmac.Equal(g.proof(), plain[stateBytes-macBytes:stateBytes]) {
			g.derive()
			return g, nil
		}
	}
	g.seed = nil
	return g, ErrLoginElsewhere
}

// Delete returns the cookies that end g in the browser.
func (l *Logins) Delete(g *Login) []*http.Cookie {
	ended := []*http.Cookie{l.Cookies.Delete(l.cookieName(g.id))}
	if g.targetName != "" {
		ended = append(ended, l.Cookies.Delete(g.targetName))
	}
	return ended
}

func (l *Logins) cookieName(id string) string {
	return l.Cookies.Name + loginInfix + id
}

// openCookie returns the seed of a sign-in cookie, and when the sign-in expires.
func (l *Logins) openCookie(name, value string) ([]byte, time.Time, error) {
	plain, err := l.Keys.Open("sign-in cookie "+name, l.Identity, value)
	if err != nil || len(plain) != 8+seedBytes {
		return nil, time.Time{}, ErrSealed
	}
	return plain[8:], time.Unix(int64(binary.BigEndian.Uint64(plain)), 0), nil
}

// surplus names the sign-in cookies of a request that should go when one more is
// set: all but the newest, and those that mean nothing to anybody any more. A
// cookie of another middleware on the same host is left alone while it is few.
func (l *Logins) surplus(r *http.Request) []string {
	type held struct {
		name   string
		expiry time.Time
	}
	var all []held
	cookies := r.Header["Cookie"]
	if len(cookies) == 0 {
		return nil
	}
	prefix := l.Cookies.Name + loginInfix
	count := l.completedID()
	for _, c := range cookiesAfter(joined(cookies), "; "+prefix, loginsSeen) {
		id, value, _ := strings.Cut(c, "=")
		if id == count || isTargetID(id) {
			continue
		}
		_, expiry, err := l.openCookie(prefix+id, value)
		if err != nil {
			expiry = time.Time{}
		}
		all = append(all, held{prefix + id, expiry})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].expiry.After(all[j].expiry) })
	var gone []string
	for i, c := range all {
		if i >= loginsKept-1 || (!c.expiry.IsZero() && !l.Now().Before(c.expiry)) {
			gone = append(gone, c.name)
		}
	}
	return gone
}

func expiryBytes(t time.Time) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, uint64(t.Unix()))
	return b
}

package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	loginInfix   = "-s-"
	loginIDBytes = 6 // 8 characters of a cookie's name
	seedBytes    = 32
	// loginsKept bounds the sign-in cookies that a browser is given. It may have more
	// from tabs that began at once. Shared ones stay while there are at most loginsLeft.
	loginsKept = 5
	loginsLeft = 10
	// loginsSeen bounds the sign-in cookies of a request that are opened.
	loginsSeen = 20
	stateBytes = 8 + loginIDBytes + 1 + macBytes
	// shareBytes distinguish the sign-ins of one cookie.
	shareBytes = 16
	// stateLimit bounds the text of a state parameter that is checked.
	stateLimit = 2048
)

// LoginLifetime is the time that a sign-in may take.
const LoginLifetime = 10 * time.Minute

// ErrState is returned for a state parameter that this middleware did not make.
var ErrState = errors.New("session: the state parameter is not of this middleware")

// ErrLoginExpired is returned with a Login that took longer than LoginLifetime.
var ErrLoginExpired = errors.New("session: the sign-in took too long")

// ErrLoginElsewhere is returned with a Login that this browser does not hold: its cookie
// is gone, was never taken, or belongs to another browser. Nothing may be redeemed for
// it.
var ErrLoginElsewhere = errors.New("session: the sign-in was not started in this browser")

// A Login is a sign-in in progress. It is kept in the browser only, so that a flood of
// sign-ins costs no memory here. A sealed cookie holds the seed of its secrets. The state
// parameter, sealed too, holds the target. A target that is too long for the state is
// sealed in a second cookie.
type Login struct {
	State    string // the state parameter (RFC 6749 section 10.12)
	Nonce    string // the nonce parameter (OpenID Connect Core section 3.1.2.1)
	Verifier string // the PKCE code verifier (RFC 7636 section 4.1)
	Target   string // the return target: a path of this origin, or a URL
	Attempt  int    // number of times that this sign-in was started again by itself
	Account  Account
	Started  time.Time
	Expiry   time.Time
	// SentSession reports that the browser sent a session cookie of ours when this
	// sign-in began. Its session was not found or not valid.
	SentSession bool
	// TargetLost is set by Find if the cookie with the target is gone.
	TargetLost bool

	id         string // the last part of the cookie's name
	seed       []byte
	share      []byte   // names this sign-in among those of a shared cookie; nil: the cookie was made for this one
	gone       []string // names of cookies that are deleted when this sign-in begins
	targetName string   // of the cookie that held the target; empty: the state did
}

// These purposes seal a state. A sign-in that shares another one's cookie has the second.
const (
	ownState    = "sign-in state"
	sharedState = "shared sign-in state"
)

// Account says if a sign-in requested another account than the one with a session at the
// provider. It is kept through the redirect to the provider, so that an account that was
// refused there is not requested again.
type Account byte

const (
	// AnyAccount is the account with a session at the provider, if there is one.
	AnyAccount Account = iota
	// ChosenAccount is an account that the user chooses.
	ChosenAccount
	// NewAccount is an account that the user signs in to.
	NewAccount
)

// The byte with the attempt has SentSession as sentBit, and the account from accountShift
// on.
const (
	sentBit      = 1 << 5
	accountShift = 6
)

// Logins makes and recognises the sign-ins of one middleware.
type Logins struct {
	Keys     *Keyring
	Identity string // issuer, relying party and group
	Cookies  Cookies
	Now      func() time.Time

	turn atomic.Int64 // counts the targets that were put into cookies
}

// Start returns a new sign-in towards target that requests an account, in a browser that
// sends cookies. The attempt, which is less than 32, counts the starts after a callback
// of the same sign-in. If that browser has as many sign-ins under way as it is given
// cookies for, the new one shares the newest cookie. So no tab takes away the cookie of
// another. A target of more than 2,320 bytes is an error.
func (l *Logins) Start(cookies []string, target string, attempt int, account Account) (*Login, error) {
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
	id := b[:loginIDBytes]
	label := ownState
	how := byte(attempt) | byte(account)<<accountShift
	if len(cookies) > 0 && strings.Contains(joined(cookies), l.Cookies.Name) {
		if l.sendsSession(cookies) {
			g.SentSession = true
			how |= sentBit
		}
		if l.join(g, cookies) {
			id, _ = base64.RawURLEncoding.DecodeString(g.id) // valid, because join took it from a name of ours
			g.share = b[:shareBytes]
			label = sharedState
		}
	}
	g.derive()
	plain := make([]byte, 8, stateBytes+len(g.share)+len(target))
	binary.BigEndian.PutUint64(plain, uint64(now.UnixMilli()))
	plain = append(plain, id...)
	plain = append(plain, how)
	plain = append(plain, g.proof()...)
	plain = append(plain, g.share...)
	if len(target) <= stateTarget {
		plain = append(plain, target...)
	}
	g.State, err = l.Keys.Seal(label, l.Identity, plain)
	return g, err
}

// sendsSession reports whether there is a session cookie of ours among cookies.
func (l *Logins) sendsSession(cookies []string) bool {
	for _, v := range values(cookies, l.Cookies.Name) {
		if _, err := l.Keys.ticket(v, l.Cookies.Name, l.Identity); err == nil {
			return true
		}
	}
	return false
}

// derive computes the values that follow from the seed.
func (g *Login) derive() {
	g.Nonce = base64.RawURLEncoding.EncodeToString(g.part("nonce"))
	g.Verifier = base64.RawURLEncoding.EncodeToString(g.part("verifier"))
}

func (g *Login) part(name string) []byte {
	h := hmac.New(sha256.New, g.seed)
	h.Write([]byte(name))
	h.Write(g.share)
	return h.Sum(nil)
}

// proof ties a state parameter to the seed in the browser.
func (g *Login) proof() []byte {
	return g.part("state")[:macBytes]
}

// Set returns the cookies that a response to r, which starts g, sets: those that g needs,
// and the deletion of those that are expired, foreign, or too many.
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
	for _, old := range g.gone {
		set = append(set, l.Cookies.Delete(old))
	}
	return set, nil
}

// Find returns the sign-in that a callback's state names. Only ErrState comes without a
// Login. The other errors come with its Target, unless that is lost, and its Attempt.
func (l *Logins) Find(state string, r *http.Request) (*Login, error) {
	plain, share, err := l.openState(state)
	if err != nil {
		return nil, err
	}
	started := time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	how := plain[8+loginIDBytes]
	g := &Login{
		State:       state,
		Target:      string(plain[stateBytes+len(share):]),
		Attempt:     int(how & (sentBit - 1)),
		SentSession: how&sentBit != 0,
		Account:     Account(how >> accountShift),
		Started:     started,
		Expiry:      started.Add(LoginLifetime),
		id:          base64.RawURLEncoding.EncodeToString(plain[8 : 8+loginIDBytes]),
		share:       share,
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

// openState returns the sealed content of a state, and Login.share of its sign-in.
func (l *Logins) openState(state string) ([]byte, []byte, error) {
	if len(state) > stateLimit {
		return nil, nil, ErrState
	}
	plain, err := l.Keys.Open(ownState, l.Identity, state)
	if err == nil && len(plain) >= stateBytes {
		return plain, nil, nil
	}
	plain, err = l.Keys.Open(sharedState, l.Identity, state)
	if err == nil && len(plain) >= stateBytes+shareBytes {
		return plain, plain[stateBytes : stateBytes+shareBytes], nil
	}
	return nil, nil, ErrState
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

// openCookie returns the seed of a sign-in cookie, and the expiry of the sign-in.
func (l *Logins) openCookie(name, value string) ([]byte, time.Time, error) {
	plain, err := l.Keys.Open("sign-in cookie "+name, l.Identity, value)
	if err != nil || len(plain) != 8+seedBytes {
		return nil, time.Time{}, errSealed
	}
	return plain[8:], time.Unix(int64(binary.BigEndian.Uint64(plain)), 0), nil
}

func expiryBytes(t time.Time) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, uint64(t.Unix()))
	return b
}

// Package session keeps the sessions of signed-in users.
//
// A session is a record in a cache.Backend. It is sealed under a key that needs both the
// operator's key and a secret that only the browser's cookie holds.
//
// Manager opens records and keeps the opened ones, with everything that a request needs
// computed. A request of a signed-in user then costs one look-up in a map. Manager
// refreshes the tokens of a session, once for any number of requests and replicas, and
// ends sessions.
//
// Login is a sign-in in progress, which is kept in the browser only. ReplayGuard lets a
// state, a nonce or a code be used once.
package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

// ErrNone is returned when there is no session: no cookie, a cookie that this middleware
// did not give, a session that ended, or one that was revoked.
var ErrNone = errors.New("session: none")

// ErrForeign is returned, wrapping ErrNone, when there are cookies but this middleware
// gave none of them. They are altered, cut, or another middleware's.
var ErrForeign = fmt.Errorf("%w: no cookie is valid for this middleware", ErrNone)

// ErrRevoked is returned, wrapping ErrNone, when a session was ended before it was
// stored: the provider reported a logout while the user signed in.
var ErrRevoked = fmt.Errorf("%w: it was revoked before it was stored", ErrNone)

// ErrUnavailable is returned when the store could not be reached. The session may still
// be live. So nothing may be deleted, and no user may be sent to sign in again.
var ErrUnavailable = errors.New("session: the store could not be reached")

// refusedFor is the time for which a sign-in is kept of a user that the rules refuse. In
// it the page says so, and the user can sign out.
const refusedFor = 5 * time.Minute

// A Session holds the provider's statements about a user at the sign-in. It is immutable:
// a token refresh makes another one.
type Session struct {
	Created      time.Time      // time of the sign-in
	Expiry       time.Time      // absolute end; never slides
	IDToken      string         // as the provider sent it
	AccessToken  string         // empty: none was given
	RefreshToken string         // empty: none was given
	AccessExpiry time.Time      // expiry of the tokens, as the provider gave it; zero: it gave none
	UserInfo     map[string]any // claims of the userinfo endpoint; nil: none
	UserInfoNew  bool           // UserInfo was fetched later than IDToken
	Refreshed    time.Time      // time of the last token refresh, set by Manager; zero: never
	Nonce        string         // of the sign-in, if IDToken no longer has it
	AuthTime     time.Time      // time of the user's authentication, if IDToken no longer has it
	Used         time.Time      // time of the last use that Manager stored; zero: none
	Refused      bool           // the rules refused the user at the sign-in; kept for refusedFor, until a middleware that allows the user opens it
	Idle         time.Duration  // the shortest idle timeout of the middlewares that met it, set by Manager; zero: none has one
}

// stored is a Session as it is sealed. Times are seconds since 1970.
type stored struct {
	Created      int64          `json:"c"`
	Expiry       int64          `json:"x"`
	IDToken      string         `json:"i"`
	AccessToken  string         `json:"a,omitempty"`
	RefreshToken string         `json:"r,omitempty"`
	AccessExpiry int64          `json:"e,omitempty"`
	UserInfo     map[string]any `json:"u,omitempty"`
	UserInfoNew  bool           `json:"l,omitempty"`
	Refreshed    int64          `json:"w,omitempty"` // in milliseconds
	Nonce        string         `json:"n,omitempty"`
	AuthTime     int64          `json:"h,omitempty"`
	Used         int64          `json:"t,omitempty"` // in milliseconds, like Idle
	Idle         int64          `json:"d,omitempty"`
	Refused      bool           `json:"f,omitempty"`
}

func (s *Session) encode() ([]byte, error) {
	v := stored{
		Created: s.Created.Unix(), Expiry: s.Expiry.Unix(), IDToken: s.IDToken,
		AccessToken: s.AccessToken, RefreshToken: s.RefreshToken, UserInfo: s.UserInfo, UserInfoNew: s.UserInfoNew, Nonce: s.Nonce, Refused: s.Refused,
	}
	if !s.Refreshed.IsZero() {
		v.Refreshed = s.Refreshed.UnixMilli()
	}
	if !s.AccessExpiry.IsZero() {
		v.AccessExpiry = s.AccessExpiry.Unix()
	}
	if !s.AuthTime.IsZero() {
		v.AuthTime = s.AuthTime.Unix()
	}
	if !s.Used.IsZero() {
		v.Used = s.Used.UnixMilli()
	}
	v.Idle = s.Idle.Milliseconds()
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("session: encode: %w", err)
	}
	return b, nil
}

func decode(b []byte) (*Session, error) {
	var v stored
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("session: decode: %w", err)
	}
	s := &Session{
		Created: time.Unix(v.Created, 0), Expiry: time.Unix(v.Expiry, 0), IDToken: v.IDToken,
		AccessToken: v.AccessToken, RefreshToken: v.RefreshToken, UserInfo: v.UserInfo, UserInfoNew: v.UserInfoNew, Nonce: v.Nonce, Refused: v.Refused,
	}
	if v.Refreshed != 0 {
		s.Refreshed = time.UnixMilli(v.Refreshed)
	}
	if v.AccessExpiry != 0 {
		s.AccessExpiry = time.Unix(v.AccessExpiry, 0)
	}
	if v.AuthTime != 0 {
		s.AuthTime = time.Unix(v.AuthTime, 0)
	}
	if v.Used != 0 {
		s.Used = time.UnixMilli(v.Used)
	}
	s.Idle = time.Duration(v.Idle) * time.Millisecond
	return s, nil
}

// sealRecord returns the record of s as the store keeps it: h in clear, and s sealed
// under the ticket's key. The additional data is the record's whole key, the header and
// the middleware's identity. So a record does not open under another key, with another
// header, or if another middleware wrote it.
func (t ticket) sealRecord(s *Session, h cache.Header, identity string) ([]byte, error) {
	plain, err := s.encode()
	if err != nil {
		return nil, err
	}
	a, err := t.aead()
	if err != nil {
		return nil, err
	}
	h.KeyID = t.key.id
	head := cache.AppendHeader(nil, h)
	return sealWith(a, head, plain, t.additional(head, identity))
}

// openRecord is the inverse of sealRecord. The header is taken as the store has it, byte
// for byte.
func (t ticket) openRecord(record []byte, identity string) (*Session, error) {
	head, payload, ok := cache.SplitRecord(record)
	if !ok {
		return nil, errSealed
	}
	a, err := t.aead()
	if err != nil {
		return nil, err
	}
	plain, err := openWith(a, payload, t.additional(head, identity))
	if err != nil {
		return nil, err
	}
	return decode(plain)
}

func (t ticket) additional(head []byte, identity string) []byte {
	return bind("session record "+t.recordKey(), string(head)+identity)
}

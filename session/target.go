package session

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"time"
)

const (
	// stateTarget is the longest target that a state parameter holds, in bytes. The state
	// is in URLs of the provider, and some servers refuse one of 2 KB.
	stateTarget = 1000
	// cookieTarget is the longest one that a cookie holds, in bytes: a path and an
	// origin. With a name of 75 bytes and a domain of 253, such a cookie has 3.6 KB.
	// Browsers drop one of more than 4,096 bytes (RFC 6265bis, section 5.6).
	cookieTarget = 2320
)

// targetIDs end the names of the cookies with the targets of sign-ins. As many as these
// fit into 8 KB together with all other cookies of ours. Responses to tabs that open at
// once do not know of each other, and would exceed any other bound. They have the length
// of a sign-in's id, so that no backend sees them.
var targetIDs = []string{"target-0", "target-1"}

// isTargetID reports whether id ends the name of a cookie that holds a target.
func isTargetID(id string) bool {
	return id == targetIDs[0] || id == targetIDs[1]
}

var errTargetTooLong = errors.New("session: the return target of a sign-in is too long")

// setTarget returns the cookie that holds the target of g, under a name that is free in
// the browser of r, or else that of the oldest.
func (l *Logins) setTarget(g *Login, r *http.Request) (*http.Cookie, error) {
	id, err := g.ownID()
	if err != nil {
		return nil, err
	}
	name := l.freeTargetName(r)
	plain := make([]byte, 8, 8+loginIDBytes+len(g.Target))
	binary.BigEndian.PutUint64(plain, uint64(g.Started.UnixMilli()))
	plain = append(plain, id...)
	plain = append(plain, g.Target...)
	value, err := l.Keys.Seal("sign-in target "+name, l.Identity, plain)
	if err != nil {
		return nil, err
	}
	return l.Cookies.Set(name, value, LoginLifetime), nil
}

// ownID names g, and no other sign-in that shares its cookie.
func (g *Login) ownID() ([]byte, error) {
	if g.share != nil {
		return g.share[:loginIDBytes], nil
	}
	return base64.RawURLEncoding.DecodeString(g.id)
}

// freeTargetName returns the name for one more target. It begins with another name each
// time, because two tabs that open at once find all of them free.
func (l *Logins) freeTargetName(r *http.Request) string {
	turn := int(l.turn.Add(1) % int64(len(targetIDs)))
	oldest := ""
	var since time.Time
	for i := range targetIDs {
		name := l.cookieName(targetIDs[(turn+i)%len(targetIDs)])
		started := l.targetStarted(name, r)
		if l.Now().Sub(started) >= LoginLifetime {
			return name
		}
		if oldest == "" || started.Before(since) {
			oldest = name
			since = started
		}
	}
	return oldest
}

// targetStarted returns the start of the sign-in with the target in the cookie of that
// name; zero: the cookie is not ours.
func (l *Logins) targetStarted(name string, r *http.Request) time.Time {
	for _, v := range values(r.Header["Cookie"], name) {
		plain := l.openTarget(name, v)
		if plain != nil {
			return time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
		}
	}
	return time.Time{}
}

// findTarget reads the target of g, which its state does not hold, from the cookies of r.
func (l *Logins) findTarget(g *Login, r *http.Request) {
	g.TargetLost = true
	own, err := g.ownID()
	if err != nil {
		return
	}
	for _, id := range targetIDs {
		name := l.cookieName(id)
		for _, v := range values(r.Header["Cookie"], name) {
			plain := l.openTarget(name, v)
			if plain != nil && bytes.Equal(plain[8:8+loginIDBytes], own) {
				g.Target = string(plain[8+loginIDBytes:])
				g.TargetLost = false
				g.targetName = name
				return
			}
		}
	}
}

// openTarget returns the content of a cookie with a target: the start of the sign-in, its
// id and its target. It returns nil for a cookie that is not ours.
func (l *Logins) openTarget(name, value string) []byte {
	plain, err := l.Keys.Open("sign-in target "+name, l.Identity, value)
	if err != nil || len(plain) <= 8+loginIDBytes {
		return nil
	}
	return plain
}

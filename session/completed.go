package session

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// completedWithin is the time between two sign-ins within which they are counted
// together.
const completedWithin = 30 * time.Second

// completedID names the cookie that counts the completed sign-ins of a browser. It has
// the form of a sign-in's cookie, so that no backend gets it. It differs for each key and
// identity, because other middlewares on the host may have cookies of the same name.
func (l *Logins) completedID() string {
	sum := l.Keys.keys[0].digest([]string{"completed sign-ins", l.Identity})
	return base64.RawURLEncoding.EncodeToString(sum[:loginIDBytes])
}

// Completed returns the number of sign-ins that the browser of r completed within
// seconds, since its user signed out.
func (l *Logins) Completed(r *http.Request) int {
	n, _ := l.completed(r)
	return n
}

func (l *Logins) completed(r *http.Request) (int, time.Time) {
	now := l.Now()
	cookies := r.Header["Cookie"]
	if len(cookies) == 0 || !strings.Contains(joined(cookies), l.Cookies.Name+loginInfix) {
		return 0, now
	}
	name := l.cookieName(l.completedID())
	for _, v := range values(cookies, name) {
		plain, err := l.Keys.Open("completed sign-ins", l.Identity, v)
		if err != nil || len(plain) != 8+seedBytes {
			continue
		}
		since := time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
		if now.Sub(since) < completedWithin {
			n := int(plain[8])
			return n, since
		}
	}
	return 0, now
}

// Complete returns the cookie that counts one more completed sign-in.
func (l *Logins) Complete(r *http.Request) (*http.Cookie, error) {
	n, since := l.completed(r)
	plain := make([]byte, 8+seedBytes)
	binary.BigEndian.PutUint64(plain, uint64(since.UnixMilli()))
	if n < 255 {
		n++
	}
	plain[8] = byte(n)
	name := l.cookieName(l.completedID())
	value, err := l.Keys.Seal("completed sign-ins", l.Identity, plain)
	if err != nil {
		return nil, err
	}
	return l.Cookies.Set(name, value, completedWithin), nil
}

// ResetCompleted returns the cookie that ends the count, after a sign-out.
func (l *Logins) ResetCompleted() *http.Cookie {
	return l.Cookies.Delete(l.cookieName(l.completedID()))
}

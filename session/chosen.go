package session

import (
	"net/http"
	"strings"
	"time"
)

const (
	// chosenID names the cookie that remembers that the user chose the provider of this
	// middleware. The cookie has the form of a sign-in's, so that no backend gets it. It
	// is no secret and no proof: it only selects where a sign-in begins.
	chosenID = "provider"
	// chosenLifetime is how long the choice is remembered.
	chosenLifetime = 30 * 24 * time.Hour
)

// Choose returns the cookie that remembers the user's choice of this provider.
func (l *Logins) Choose() *http.Cookie {
	return l.Cookies.Set(l.cookieName(chosenID), strings.Repeat("A", loginText), chosenLifetime)
}

// Chosen reports whether the Cookie headers of a request have that cookie.
func (l *Logins) Chosen(cookies []string) bool {
	return len(values(cookies, l.cookieName(chosenID))) > 0
}

// ForgetChoice returns the cookie that ends the choice.
func (l *Logins) ForgetChoice() *http.Cookie {
	return l.Cookies.Delete(l.cookieName(chosenID))
}

// Sends reports whether the Cookie headers of a request have a session cookie of ours. It
// does not ask the store if the session exists.
func (l *Logins) Sends(cookies []string) bool {
	return len(cookies) > 0 && l.sendsSession(cookies)
}

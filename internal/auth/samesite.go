package auth

import (
	"net/http"

	"github.com/traefikoidc/traefikoidc/session"
)

var (
	framedSignIn = failure{http.StatusUnauthorized, "sign_in_framed", true}
	signedIn     = failure{http.StatusOK, "signed_in", true}
)

// leadOn sends a browser that has just signed in to target. The provider's site caused
// r and each redirect of its response, so browsers would not add a Strict cookie. With
// such cookies, a page of this site leads on.
func (m *Middleware) leadOn(w http.ResponseWriter, r *http.Request, target string) {
	if m.o.Cookies.SameSite != session.Strict {
		m.redirect(w, target)
		return
	}
	m.answer(w, r, page{failure: signedIn, target: target, label: "label.continue", onward: true}, nil)
}

// withheld reports whether a browser may have a session cookie that it did not add to r
// because another site caused r.
func (m *Middleware) withheld(r *http.Request) bool {
	return m.o.Cookies.SameSite == session.Strict && fromElsewhere(r)
}

// framed reports whether r is for a frame (Fetch, section 2.2.5).
func framed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document":
		return false
	}
	return true
}

// offerWindow answers the navigation of a frame without a session. No sign-in can end
// in the frame: providers refuse to be framed, and the sign-in's cookies are Lax. The
// page only opens a window, in which the user decides, so any site may frame it.
func (m *Middleware) offerWindow(w http.ResponseWriter, r *http.Request) {
	target, _ := m.wanted(r)
	m.answer(w, r, page{failure: framedSignIn, target: target, label: "label.sign_in", window: true, again: target}, nil)
}

// unsaid reports whether r does not reveal the site that caused it, though browsers add
// the session cookie to the requests of all sites.
func (m *Middleware) unsaid(r *http.Request) bool {
	if m.o.Cookies.SameSite != session.None && m.o.Cookies.SameSite != session.Partitioned {
		return false
	}
	return r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" && r.Header.Get("Referer") == ""
}

package auth

import (
	"net/http"
	"regexp"
	"strings"
)

const (
	// maxCookieBytes bounds the cookies of a request, together, and maxCookieHeaders
	// the number of their headers. Browsers send one.
	maxCookieBytes   = 64 << 10
	maxCookieHeaders = 100
	separateHeaders  = 4
	// maxKeptBytes bounds the cookies, in bytes, of a request that the quickest path
	// handles. An expression that searches them costs more for each byte than stripCookies.
	maxKeptBytes = 8 << 10
	// maxLogged bounds a host and a path in the log, in bytes.
	maxLogged = 300
	// maxHost bounds the Host header, in bytes: a name has 253 (RFC 1035, section 2.3.4).
	maxHost = 300
	// maxFormType bounds a Content-Type that is parsed, and maxReferer an Origin or a
	// Referer, in bytes.
	maxFormType = 200
	maxReferer  = 8 << 10
)

var (
	cookiesTooLarge = failure{http.StatusRequestHeaderFieldsTooLarge, "cookies_too_large", true}
	headersTooLarge = failure{http.StatusRequestHeaderFieldsTooLarge, "headers_too_large", true}
)

// refuseHeaders answers a request whose header is too large to be cleaned.
func (m *Middleware) refuseHeaders(w http.ResponseWriter, r *http.Request) {
	m.fail(w, r, headersTooLarge, nil)
}

// refuseTunnel answers a CONNECT request. It has no content (RFC 9110, section 9.3.6).
// A backend would read the bytes after the header as a tunnel, or as further requests
// that the plugin never saw.
func (m *Middleware) refuseTunnel(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	m.fail(w, r, wrongMethod, nil)
}

// tooLarge reports whether the Cookie headers of a request exceed the bounds.
func tooLarge(cookies []string) bool {
	switch len(cookies) {
	case 0:
		return false
	case 1:
		return len(cookies[0]) > maxCookieBytes
	}
	return len(cookies) > maxCookieHeaders || len(strings.Join(cookies, "; ")) > maxCookieBytes
}

// chunks matches the names of the cookies that lukaszraczylo/traefikoidc sets. It
// splits sessions into many cookies, and browsers keep them for a day after a
// migration.
var chunks = regexp.MustCompile(`_oidc_raczylo_[0-9A-Za-z_-]{0,40}`)

// maxExpired bounds how many cookies a response expires. The next response expires
// further ones.
const maxExpired = 24

// refuseCookies answers a request with too many cookies, and expires those that the
// user does not need.
func (m *Middleware) refuseCookies(w http.ResponseWriter, r *http.Request) {
	cookies := m.o.Cookies
	for _, name := range chunks.FindAllString(strings.Join(r.Header["Cookie"], ";"), maxExpired) {
		http.SetCookie(w, cookies.Delete(name))
	}
	m.fail(w, r, cookiesTooLarge, nil)
}

// brief returns the form of text for the log.
func brief(text string) string {
	if len(text) > maxLogged {
		return text[:maxLogged] + "..."
	}
	return text
}

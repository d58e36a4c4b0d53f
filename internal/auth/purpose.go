package auth

import (
	"net/http"
	"regexp"
	"strings"
)

// purposeHeaders are the headers by which browsers mark a request ahead of a visit:
// Sec-Purpose (Fetch, section 2.2.5) and its predecessors.
var purposeHeaders = [...]string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"}

// ahead matches the values of purposeHeaders for a visit that may never be made.
var ahead = regexp.MustCompile(`(?i)prefetch|prerender|preview`)

// purposeLimit bounds, in bytes, a purpose that is read. No browser sends a longer one;
// it is taken for one ahead of a visit.
const purposeLimit = 256

// aheadOfVisit reports whether a browser fetches r before its user goes there, if ever.
// Such a request must change nothing.
func aheadOfVisit(r *http.Request) bool {
	for _, name := range purposeHeaders {
		values := r.Header[name]
		if len(values) == 0 {
			continue
		}
		purpose := strings.Join(values, ",")
		if len(purpose) > purposeLimit || ahead.MatchString(purpose) {
			return true
		}
	}
	return false
}

// userDestinations are the destinations of requests that a user or a page's own script
// makes: a page in a tab or in a frame, and fetch (Fetch, section 2.2.5). Any other
// destination is a part of a page, such as an image.
var userDestinations = map[string]bool{"document": true, "iframe": true, "frame": true, "empty": true}

// partAccepted matches the Accept header of a request for a part of a page. It is for
// browsers that do not send its destination, for example over http.
var partAccepted = regexp.MustCompile(`(?i)^(?:image/|audio/|video/|font/|text/css|application/(?:x-)?font)`)

// partOfPage reports whether a browser fetches r as a part of a page, which any page
// can cause without a script. It also reports the ping of a link that was followed
// (HTML, section 4.6.5.2).
func partOfPage(r *http.Request) bool {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "text/ping") {
		return true
	}
	if to := r.Header.Get("Sec-Fetch-Dest"); to != "" {
		return !userDestinations[to]
	}
	return r.Method == http.MethodGet && !wantsHTML(r) && partAccepted.MatchString(strings.TrimLeft(r.Header.Get("Accept"), " \t"))
}

// unvisited answers a request that no user made, and that therefore changes nothing. It
// reports whether r is one. The status is an error, so that no browser reuses the
// response for a later visit.
func (m *Middleware) unvisited(w http.ResponseWriter, r *http.Request) bool {
	if !aheadOfVisit(r) && !partOfPage(r) {
		return false
	}
	m.fail(w, r, notVisited, nil)
	return true
}

package policy

import "net/http"

// IsPreflight reports whether r is a CORS preflight request (Fetch, section
// "CORS-preflight request"). Its method must be OPTIONS; a header that overrides the
// method does not count. An OPTIONS request without the headers of a preflight is none.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

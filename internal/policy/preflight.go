package policy

import "net/http"

// IsPreflight reports whether r is a CORS preflight request: OPTIONS alone is
// not, nor is a method that a header claims (Fetch, section "CORS-preflight
// request").
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

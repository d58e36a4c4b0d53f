package policytest

import (
	"net/http"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// plainPath reports whether every server reads the path of r alike.
func plainPath(r *http.Request) bool {
	sent := r.RequestURI
	for _, bad := range []string{"..", "//", ";", "\\", "%2", "%3", "/./"} {
		if bad == "%2" && strings.Contains(sent, "%20") {
			continue
		}
		if strings.Contains(sent, bad) {
			return false
		}
	}
	return strings.HasPrefix(sent, "/") && !strings.Contains(sent, "./") && !strings.HasSuffix(sent, ".")
}

func knownHost(r *http.Request) bool {
	for _, h := range hosts {
		if r.Host == h || r.Host == strings.ToUpper(h)+".:8443" {
			return true
		}
	}
	return false
}

func knownMethod(r *http.Request) bool {
	return strings.ToUpper(r.Method) == r.Method && len(r.Header) == 0
}

// fits reports whether a rule matches: yes, no, or perhaps, by another reading.
func (g *game) fits(w policy.AccessRule, r *http.Request) string {
	answers := []string{onHost(w, r), onMethod(w, r), onPath(w, r)}
	result := "yes"
	for _, a := range answers {
		if a == "no" {
			return "no"
		}
		if a == "perhaps" {
			result = "perhaps"
		}
	}
	return result
}

func onHost(w policy.AccessRule, r *http.Request) string {
	if w.Hosts == nil {
		return "yes"
	}
	if !knownHost(r) {
		return "perhaps"
	}
	for _, h := range w.Hosts {
		if strings.HasPrefix(strings.ToLower(r.Host), h) {
			return "yes"
		}
	}
	return "no"
}

func onMethod(w policy.AccessRule, r *http.Request) string {
	if w.Methods == nil {
		return "yes"
	}
	if !knownMethod(r) {
		return "perhaps"
	}
	for _, m := range w.Methods {
		if m == r.Method || m == "GET" && r.Method == "HEAD" {
			return "yes"
		}
	}
	return "no"
}

func onPath(w policy.AccessRule, r *http.Request) string {
	if w.Paths == nil {
		return "yes"
	}
	if !plainPath(r) {
		return "perhaps"
	}
	answer := "no"
	for _, p := range w.Paths {
		if r.URL.Path == p || strings.HasPrefix(r.URL.Path, p+"/") {
			return "yes"
		}
		if near(r.URL.Path, p) {
			answer = "perhaps"
		}
	}
	return answer
}

// near reports whether some server takes path for one below prefix.
func near(path, prefix string) bool {
	path = strings.ToLower(path)
	prefix = strings.ToLower(prefix)
	if strings.HasPrefix(path, prefix) {
		rest := path[len(prefix):]
		if rest == "" || strings.Contains("/.~: ", rest[:1]) {
			return true
		}
		if rest[0] >= 0x80 && strings.HasPrefix(rest, "\u0301") {
			return true
		}
	}
	for i := 0; i < len(path); i++ {
		if path[i] >= 0x80 {
			return i == 0 || strings.HasPrefix(prefix, path[:i-1])
		}
	}
	return false
}

func (g *game) public(r *http.Request) bool {
	if !plainPath(r) {
		return false
	}
	for _, p := range g.bypass {
		if r.URL.Path == p || strings.HasPrefix(r.URL.Path, p+"/") {
			return true
		}
	}
	return false
}

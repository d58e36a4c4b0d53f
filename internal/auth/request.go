package auth

import (
	"net/http"
	"net/url"
	"strings"
)

// navigation reports whether r is a user's browser going to a page: the only
// kind of request that may be sent to the provider. Browsers tell by Sec-Fetch-Mode
// (Fetch Metadata); where they do not, a GET that accepts HTML and was not made by
// a script counts. One ahead of a visit is none: it would begin a sign-in for each
// link that is looked at, and drive out the cookies of those that are under way.
func navigation(r *http.Request) bool {
	if r.Method != http.MethodGet || upgrade(r) || aheadOfVisit(r) {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	if strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") {
		return false
	}
	return wantsHTML(r)
}

// wantsHTML reports whether the client would show a page.
func wantsHTML(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func upgrade(r *http.Request) bool {
	return r.Header.Get("Upgrade") != ""
}

// secure reports whether the person's browser reached us by https, as far as the
// operator's configuration and Traefik tell.
func (m *Middleware) secure(r *http.Request) bool {
	if m.o.ForceHTTPS || r.TLS != nil {
		return true
	}
	proto := r.Header.Get("X-Forwarded-Proto")
	return strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
}

// origin is this site as the browser names it. The Host header alone counts:
// Traefik routed by it, and X-Forwarded-Host is anybody's.
func (m *Middleware) origin(r *http.Request) string {
	if m.secure(r) {
		return "https://" + canonicalHost(r.Host, "https")
	}
	return "http://" + canonicalHost(r.Host, "http")
}

// absolute returns u, a path or an absolute URL of the configuration, as an
// absolute URL.
func (m *Middleware) absolute(r *http.Request, u string) string {
	if strings.HasPrefix(u, "/") {
		return m.origin(r) + u
	}
	return u
}

// fromElsewhere reports whether another site made the browser send r. Browsers
// tell by Sec-Fetch-Site; where they do not, by Origin or Referer.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	from := r.Header.Get("Origin")
	if from == "" {
		from = r.Header.Get("Referer")
	}
	if from == "" {
		return false
	}
	if len(from) > maxReferer {
		return true
	}
	u, err := url.Parse(from)
	return err != nil || canonicalHost(u.Host, u.Scheme) != canonicalHost(r.Host, u.Scheme)
}

package auth

import (
	"net/http"
	"net/url"
	"strings"
)

// navigation reports whether r opens a page in a user's browser. Only such a request
// may be redirected to the provider. Browsers report it by Sec-Fetch-Mode (Fetch
// Metadata). Without that header, a GET that accepts HTML and was not made by a script
// is one. A request ahead of a visit is none: it would begin a sign-in for each link in
// view, and displace the cookies of sign-ins in progress.
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

// wantsHTML reports whether the client displays pages.
func wantsHTML(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func upgrade(r *http.Request) bool {
	return r.Header.Get("Upgrade") != ""
}

// secure reports whether the user's browser reached this site by https, according to
// the configuration and to Traefik.
func (m *Middleware) secure(r *http.Request) bool {
	if m.o.ForceHTTPS || r.TLS != nil {
		return true
	}
	proto := r.Header.Get("X-Forwarded-Proto")
	return strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
}

// origin returns this site as the browser names it. It uses only the Host header:
// Traefik routed by it, and any client can set X-Forwarded-Host.
func (m *Middleware) origin(r *http.Request) string {
	if m.secure(r) {
		return "https://" + canonicalHost(r.Host, "https")
	}
	return "http://" + canonicalHost(r.Host, "http")
}

// absolute returns u, a path or an absolute URL of the configuration, as an absolute
// URL.
func (m *Middleware) absolute(r *http.Request, u string) string {
	if strings.HasPrefix(u, "/") {
		return m.origin(r) + u
	}
	return u
}

// fromElsewhere reports whether another site caused r. Browsers report it by
// Sec-Fetch-Site, or else by Origin or Referer.
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

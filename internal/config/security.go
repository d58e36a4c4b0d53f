package config

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/headers"
)

// security reads the section securityHeaders. Secure is forceHTTPS.
func (r *reader) security(o *SecurityHeadersOptions, secure bool) Security {
	const at = "securityHeaders."
	r.unknown(at, o.Extra, SecurityHeadersOptions{})
	s := headers.SecurityOptions{
		Secure:                secure,
		ContentSecurityPolicy: r.text(at+"contentSecurityPolicy", o.ContentSecurityPolicy),
		HSTS:                  o.StrictTransportSecurity,
		HSTSMaxAge:            r.seconds(at+"strictTransportSecurityMaxAge", o.StrictTransportSecurityMaxAge, 0, 10*maxSeconds),
		HSTSSubdomains:        o.StrictTransportSecuritySubdomains,
		HSTSPreload:           o.StrictTransportSecurityPreload,
		XSSProtection:         r.text(at+"xssProtection", o.XSSProtection),
		PermissionsPolicy:     r.text(at+"permissionsPolicy", o.PermissionsPolicy),
	}
	if s.HSTSMaxAge == 0 {
		s.HSTSMaxAge = -1 // browsers forget the rule
	}
	s.Profile = r.choice(at+"profile", o.Profile, "", []string{"default", "strict", "development", "api", "custom"})
	s.FrameOptions = r.choice(at+"frameOptions", o.FrameOptions, "", []string{"DENY", "SAMEORIGIN"})
	s.ContentTypeOptions = r.choice(at+"contentTypeOptions", o.ContentTypeOptions, "", []string{"nosniff"})
	s.ReferrerPolicy = r.choice(at+"referrerPolicy", o.ReferrerPolicy, "", []string{"no-referrer", "no-referrer-when-downgrade",
		"origin", "origin-when-cross-origin", "same-origin", "strict-origin", "strict-origin-when-cross-origin", "unsafe-url"})
	s.CrossOriginResourcePolicy = r.choice(at+"crossOriginResourcePolicy", o.CrossOriginResourcePolicy, "",
		[]string{"same-site", "same-origin", "cross-origin"})
	s.CrossOriginOpenerPolicy = r.choice(at+"crossOriginOpenerPolicy", o.CrossOriginOpenerPolicy, "",
		[]string{"unsafe-none", "same-origin-allow-popups", "same-origin", "noopener-allow-popups"})
	s.CrossOriginEmbedderPolicy = r.choice(at+"crossOriginEmbedderPolicy", o.CrossOriginEmbedderPolicy, "",
		[]string{"unsafe-none", "require-corp", "credentialless"})
	for _, h := range r.texts(at+"customHeaders", o.CustomHeaders) {
		r.responseHeader(at+"customHeaders."+brief(h.Name), h.Name)
		s.Custom = append(s.Custom, headers.Header{Name: h.Name, Value: h.Value})
	}
	if s.HSTSPreload && (!s.HSTS || !s.HSTSSubdomains || o.StrictTransportSecurityMaxAge < 31536000) {
		r.problem(at+"strictTransportSecurityPreload", "needs strictTransportSecurity, strictTransportSecuritySubdomains and a strictTransportSecurityMaxAge of a year")
	}
	return Security{
		Enabled: o.Enabled, Options: s, DisableServer: o.DisableServerHeader, DisablePoweredBy: o.DisablePoweredByHeader,
		CORSEnabled: o.CORSEnabled, CORS: r.cors(o),
	}
}

// cors reads the other origins that may call the backend.
func (r *reader) cors(o *SecurityHeadersOptions) headers.CORSOptions {
	const at = "securityHeaders."
	c := headers.CORSOptions{
		Origins:          r.origins(o),
		Methods:          r.tokens(at+"corsAllowedMethods", o.CORSAllowedMethods),
		Headers:          r.tokens(at+"corsAllowedHeaders", o.CORSAllowedHeaders),
		AllowCredentials: o.CORSAllowCredentials,
		MaxAge:           r.seconds(at+"corsMaxAge", o.CORSMaxAge, 0, maxSeconds),
	}
	if c.Methods == nil {
		c.Methods = []string{"GET", "POST", "OPTIONS"}
	}
	if c.Headers == nil {
		c.Headers = []string{"Authorization", "Content-Type"}
	}
	if o.CORSEnabled && len(c.Origins) == 0 {
		r.problem(at+"corsAllowedOrigins", "is required by corsEnabled")
	}
	return c
}

// origins reads corsAllowedOrigins. The host may begin with *. for every
// subdomain, and the port may be *.
func (r *reader) origins(o *SecurityHeadersOptions) []string {
	const option = "securityHeaders.corsAllowedOrigins"
	out := r.list(option, o.CORSAllowedOrigins)
	for _, origin := range out {
		if origin == "*" {
			if o.CORSAllowCredentials {
				r.problem(option, "* would let every site act for the signed-in user; name the origins, or leave corsAllowCredentials out")
			}
			continue
		}
		if !isOrigin(origin) {
			r.problem(option, brief(origin)+" is not an origin such as https://app.example.com, https://*.example.com or http://localhost:*")
		}
	}
	return out
}

func isOrigin(s string) bool {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || (scheme != "https" && scheme != "http") {
		return false
	}
	rest = strings.TrimSuffix(rest, ":*")
	rest = strings.TrimPrefix(rest, "*.")
	if strings.ContainsAny(rest, "*/?#@") {
		return false
	}
	_, fault := parseURL(scheme + "://" + rest)
	return fault == ""
}

// tokens reads a list of names of methods or headers, or *.
func (r *reader) tokens(option string, raw []string) []string {
	out := r.list(option, raw)
	for _, token := range out {
		if !only(token, tokenChars) {
			r.problem(option, brief(token)+" has a character that no name may have")
		}
	}
	return out
}

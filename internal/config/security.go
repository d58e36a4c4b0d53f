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
	s.Profile = r.choice(at+"profile", o.Profile, "", headers.Profiles())
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
	if _, err := headers.NewSecurity(s); err != nil && o.Enabled {
		r.problem("securityHeaders", strings.TrimPrefix(err.Error(), "headers: "))
	}
	return Security{
		Enabled: o.Enabled, Options: s, DisableServer: o.DisableServerHeader, DisablePoweredBy: o.DisablePoweredByHeader,
		CORSEnabled: o.CORSEnabled, CORS: r.cors(o),
	}
}

// cors reads the other origins that may call the backend. Package headers checks them.
func (r *reader) cors(o *SecurityHeadersOptions) headers.CORSOptions {
	const at = "securityHeaders."
	options := map[string]string{"origins": at + "corsAllowedOrigins", "methods": at + "corsAllowedMethods", "headers": at + "corsAllowedHeaders"}
	c := headers.CORSOptions{
		Origins:          r.list(options["origins"], o.CORSAllowedOrigins),
		Methods:          r.list(options["methods"], o.CORSAllowedMethods),
		Headers:          r.list(options["headers"], o.CORSAllowedHeaders),
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
		r.problem(options["origins"], "is required by corsEnabled")
	}
	_, problems := headers.NewCORS(c)
	for _, p := range problems {
		r.problem(options[p.Field], brief(p.Value)+" "+p.Text)
	}
	return c
}

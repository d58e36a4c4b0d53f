package headers

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SecurityOptions are the security headers of responses. Empty texts are not set,
// unless Profile sets them.
type SecurityOptions struct {
	// Profile is default, strict, development, api or custom. It sets those of the
	// fields below that are empty, on the backend's responses; empty and custom set
	// nothing.
	Profile string

	ContentSecurityPolicy, FrameOptions, ContentTypeOptions, XSSProtection, ReferrerPolicy, PermissionsPolicy string
	CrossOriginResourcePolicy, CrossOriginOpenerPolicy, CrossOriginEmbedderPolicy                             string

	// HSTS makes browsers use https only (RFC 6797), for HSTSMaxAge. Zero is a year; a
	// negative value makes browsers forget the rule.
	HSTS, HSTSSubdomains, HSTSPreload bool
	HSTSMaxAge                        time.Duration

	Custom []Header // on the backend's responses

	// Secure means that users come by https. Without it there is no HSTS, which must
	// not be sent over plain http.
	Secure bool
}

// Security holds the response headers of a configuration. It is never changed.
type Security struct {
	// Pages are the headers of the plugin's own pages. They are strict in every
	// configuration, because these pages need no more.
	Pages []Header
	// Backend are the headers of the backend's responses. They are set before the
	// request is passed on. If the backend sets one of them too, the response has both,
	// this one first.
	Backend []Header
}

// hstsDefault is how long browsers remember to use https.
const hstsDefault = 365 * 24 * time.Hour

// NewSecurity computes the headers of o. It refuses headers that could not be sent.
func NewSecurity(o SecurityOptions) (*Security, error) {
	filled, known := profile(o)
	if !known {
		return nil, errors.New("headers: the profile must be default, strict, development, api or custom")
	}
	s := &Security{Pages: pageHeaders(o), Backend: fieldHeaders(filled)}
	for _, h := range o.Custom {
		if strings.Trim(h.Name, token) != "" || h.Name == "" {
			return nil, errors.New("headers: a custom header's name is not one")
		}
		h.Name = http.CanonicalHeaderKey(h.Name)
		s.Backend = replace(s.Backend, h)
	}
	for _, h := range append(append([]Header{}, s.Pages...), s.Backend...) {
		if !printable(h.Value) {
			return nil, errors.New("headers: the value of " + h.Name + " has characters other than printable ASCII")
		}
	}
	return s, nil
}

// Set sets list on a response. It adds to Vary, because other handlers have their own
// values.
func Set(h http.Header, list []Header) {
	for _, f := range list {
		if f.Name == "Vary" {
			h.Add(f.Name, f.Value)
			continue
		}
		h[f.Name] = []string{f.Value}
	}
}

// Profiles returns the names that SecurityOptions.Profile may have.
func Profiles() []string { return []string{"default", "strict", "development", "api", "custom"} }

// profile sets the empty fields that the named profile has.
func profile(o SecurityOptions) (SecurityOptions, bool) {
	switch o.Profile {
	case "", "custom":
		return o, true
	case "default":
		o.FrameOptions = either(o.FrameOptions, "SAMEORIGIN")
		o.ReferrerPolicy = either(o.ReferrerPolicy, "strict-origin-when-cross-origin")
	case "development":
		o.ReferrerPolicy = either(o.ReferrerPolicy, "strict-origin-when-cross-origin")
	case "api":
		o.FrameOptions = either(o.FrameOptions, "DENY")
		o.ContentSecurityPolicy = either(o.ContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
		o.ReferrerPolicy = either(o.ReferrerPolicy, "no-referrer")
	case "strict":
		o.FrameOptions = either(o.FrameOptions, "DENY")
		o.ContentSecurityPolicy = either(o.ContentSecurityPolicy,
			"default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'")
		o.ReferrerPolicy = either(o.ReferrerPolicy, "no-referrer")
		o.PermissionsPolicy = either(o.PermissionsPolicy, "camera=(), geolocation=(), microphone=()")
		o.CrossOriginResourcePolicy = either(o.CrossOriginResourcePolicy, "same-origin")
		o.CrossOriginOpenerPolicy = either(o.CrossOriginOpenerPolicy, "same-origin")
		o.CrossOriginEmbedderPolicy = either(o.CrossOriginEmbedderPolicy, "require-corp")
		o.HSTS = true
	default:
		return o, false
	}
	o.ContentTypeOptions = either(o.ContentTypeOptions, "nosniff")
	return o, true
}

// fieldHeaders returns the headers of the fields that are set.
func fieldHeaders(o SecurityOptions) []Header {
	set := appendSet(nil, "Content-Security-Policy", o.ContentSecurityPolicy)
	set = appendSet(set, "Strict-Transport-Security", hsts(o))
	set = appendSet(set, "X-Frame-Options", o.FrameOptions)
	set = appendSet(set, "X-Content-Type-Options", o.ContentTypeOptions)
	set = appendSet(set, "X-Xss-Protection", o.XSSProtection)
	set = appendSet(set, "Referrer-Policy", o.ReferrerPolicy)
	set = appendSet(set, "Permissions-Policy", o.PermissionsPolicy)
	set = appendSet(set, "Cross-Origin-Resource-Policy", o.CrossOriginResourcePolicy)
	set = appendSet(set, "Cross-Origin-Opener-Policy", o.CrossOriginOpenerPolicy)
	return appendSet(set, "Cross-Origin-Embedder-Policy", o.CrossOriginEmbedderPolicy)
}

// pagePolicy permits the plugin's own pages to load nothing at all.
const pagePolicy = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func pageHeaders(o SecurityOptions) []Header {
	set := []Header{
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "Content-Security-Policy", Value: pagePolicy},
		{Name: "Cross-Origin-Opener-Policy", Value: "same-origin"},
		{Name: "Cross-Origin-Resource-Policy", Value: "same-origin"},
		{Name: "Permissions-Policy", Value: "camera=(), geolocation=(), microphone=()"},
		{Name: "Referrer-Policy", Value: "no-referrer"},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
		{Name: "X-Frame-Options", Value: "DENY"},
	}
	return appendSet(set, "Strict-Transport-Security", hsts(o))
}

// hsts returns the value of Strict-Transport-Security (RFC 6797, section 6.1), or "".
// It has preload only if the value meets the rules of the preload list, because an
// entry there is hard to remove.
func hsts(o SecurityOptions) string {
	if !o.HSTS || !o.Secure {
		return ""
	}
	age := o.HSTSMaxAge
	if age == 0 {
		age = hstsDefault
	}
	if age < 0 {
		age = 0
	}
	v := "max-age=" + strconv.FormatInt(int64(age/time.Second), 10)
	if o.HSTSSubdomains {
		v += "; includeSubDomains"
	}
	if o.HSTSPreload && o.HSTSSubdomains && age >= hstsDefault {
		v += "; preload"
	}
	return v
}

// replace puts h in the place of the header of its name, or at the end.
func replace(set []Header, h Header) []Header {
	for i := range set {
		if set[i].Name == h.Name {
			set[i] = h
			return set
		}
	}
	return append(set, h)
}

func either(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

package headers

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SecurityOptions say which security headers responses have. Empty texts are not
// set, unless Profile sets them.
type SecurityOptions struct {
	// Profile is default, strict, development, api or custom. It fills in what the
	// fields below leave empty, on the backend's responses; empty and custom fill in
	// nothing.
	Profile string

	ContentSecurityPolicy, FrameOptions, ContentTypeOptions, XSSProtection, ReferrerPolicy, PermissionsPolicy string
	CrossOriginResourcePolicy, CrossOriginOpenerPolicy, CrossOriginEmbedderPolicy                             string

	// HSTS asks browsers to come by https alone (RFC 6797), for HSTSMaxAge; zero
	// is a year, and a negative one makes browsers forget what they were asked.
	HSTS, HSTSSubdomains, HSTSPreload bool
	HSTSMaxAge                        time.Duration

	Custom []Header // on the backend's responses

	// Secure says that people come by https. Without it there is no HSTS, which must
	// not be sent over plain http.
	Secure bool
	// PagePolicy is the Content-Security-Policy of our own pages; empty lets them
	// load nothing at all.
	PagePolicy string
}

// Security holds response headers, ready to be set. It is never changed.
type Security struct {
	// Pages are those of our own pages. They are strict whatever the operator says,
	// because our pages need nothing that could be loosened.
	Pages []Header
	// Backend are those of the backend's responses. They are set before the request
	// is handed on, so that a response of the backend that has one of them has two:
	// our own first.
	Backend []Header
}

// hstsDefault is how long browsers remember to come by https.
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

// Set sets list on a response. Vary is added to, as others have their own reasons.
func Set(h http.Header, list []Header) {
	for _, f := range list {
		if f.Name == "Vary" {
			h.Add(f.Name, f.Value)
			continue
		}
		h[f.Name] = []string{f.Value}
	}
}

// profile fills in what the named profile sets.
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

// fieldHeaders are the headers of the fields that are set.
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

func pageHeaders(o SecurityOptions) []Header {
	policy := either(o.PagePolicy, "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	set := []Header{
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "Content-Security-Policy", Value: policy},
		{Name: "Cross-Origin-Opener-Policy", Value: "same-origin"},
		{Name: "Cross-Origin-Resource-Policy", Value: "same-origin"},
		{Name: "Permissions-Policy", Value: "camera=(), geolocation=(), microphone=()"},
		{Name: "Referrer-Policy", Value: "no-referrer"},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
		{Name: "X-Frame-Options", Value: "DENY"},
	}
	return appendSet(set, "Strict-Transport-Security", hsts(o))
}

// hsts is the value of Strict-Transport-Security (RFC 6797, section 6.1), or
// empty. Preload is only said with what the preload list asks for, because it can
// hardly be taken back.
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

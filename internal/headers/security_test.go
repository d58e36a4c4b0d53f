package headers

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSecurityOfTheBackend(t *testing.T) {
	year := 365 * 24 * time.Hour
	tests := []struct {
		name    string
		options SecurityOptions
		want    map[string]string
	}{
		{"nothing is set, nothing is sent", SecurityOptions{}, map[string]string{}},
		{"custom is nothing by itself", SecurityOptions{Profile: "custom"}, map[string]string{}},
		{"only what is set", SecurityOptions{FrameOptions: "DENY", ReferrerPolicy: "same-origin"},
			map[string]string{"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"}},
		{"default", SecurityOptions{Profile: "default"},
			map[string]string{"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}},
		{"what is set wins over the profile", SecurityOptions{Profile: "default", FrameOptions: "DENY"},
			map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}},
		{"development", SecurityOptions{Profile: "development"},
			map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}},
		{"api", SecurityOptions{Profile: "api"}, map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}},
		{"HSTS", SecurityOptions{HSTS: true, Secure: true}, map[string]string{"Strict-Transport-Security": "max-age=31536000"}},
		{"HSTS for a day, with subdomains", SecurityOptions{HSTS: true, Secure: true, HSTSMaxAge: 24 * time.Hour, HSTSSubdomains: true},
			map[string]string{"Strict-Transport-Security": "max-age=86400; includeSubDomains"}},
		{"HSTS that browsers are to forget", SecurityOptions{HSTS: true, Secure: true, HSTSMaxAge: -1},
			map[string]string{"Strict-Transport-Security": "max-age=0"}},
		{"HSTS preload", SecurityOptions{HSTS: true, Secure: true, HSTSMaxAge: year, HSTSSubdomains: true, HSTSPreload: true},
			map[string]string{"Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload"}},
		{"no HSTS preload for a day", SecurityOptions{HSTS: true, Secure: true, HSTSMaxAge: time.Hour, HSTSSubdomains: true, HSTSPreload: true},
			map[string]string{"Strict-Transport-Security": "max-age=3600; includeSubDomains"}},
		{"no HSTS over http", SecurityOptions{HSTS: true}, map[string]string{}},
		{"custom headers", SecurityOptions{FrameOptions: "DENY", Custom: []Header{{"x-custom", "v"}, {"x-frame-options", "SAMEORIGIN"}}},
			map[string]string{"X-Custom": "v", "X-Frame-Options": "SAMEORIGIN"}},
		{"the others", SecurityOptions{ContentTypeOptions: "nosniff", XSSProtection: "0", PermissionsPolicy: "camera=()",
			CrossOriginResourcePolicy: "same-site", CrossOriginOpenerPolicy: "same-origin", CrossOriginEmbedderPolicy: "require-corp"},
			map[string]string{"X-Content-Type-Options": "nosniff", "X-Xss-Protection": "0", "Permissions-Policy": "camera=()",
				"Cross-Origin-Resource-Policy": "same-site", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := NewSecurity(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := valuesOf(s.Backend); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestStrictProfile(t *testing.T) {
	s, err := NewSecurity(SecurityOptions{Profile: "strict", Secure: true})
	if err != nil {
		t.Fatal(err)
	}
	got := valuesOf(s.Backend)
	if len(got) != 9 || got["Strict-Transport-Security"] != "max-age=31536000" || !strings.Contains(got["Content-Security-Policy"], "frame-ancestors 'none'") {
		t.Errorf("%v", got)
	}
}

func TestSecurityOfOurPages(t *testing.T) {
	loose := SecurityOptions{Profile: "development", FrameOptions: "SAMEORIGIN", ContentSecurityPolicy: "default-src *",
		ReferrerPolicy: "unsafe-url", Custom: []Header{{"Cache-Control", "public"}}}
	for _, o := range []SecurityOptions{{}, loose} {
		s, err := NewSecurity(o)
		if err != nil {
			t.Fatal(err)
		}
		got := valuesOf(s.Pages)
		if got["X-Frame-Options"] != "DENY" || !strings.Contains(got["Content-Security-Policy"], "frame-ancestors 'none'") {
			t.Errorf("B25 %v", got)
		}
		if got["Cache-Control"] != "no-store" || got["Referrer-Policy"] != "no-referrer" {
			t.Errorf("A14 %v", got)
		}
		if strings.Contains(got["Content-Security-Policy"], "*") {
			t.Errorf("K7 %v", got)
		}
	}
	s, err := NewSecurity(SecurityOptions{HSTS: true, Secure: true})
	if err != nil {
		t.Fatal(err)
	}
	got := valuesOf(s.Pages)
	if got["Content-Security-Policy"] != pagePolicy || got["Strict-Transport-Security"] == "" {
		t.Errorf("%v", got)
	}
}

func TestEveryProfileIsKnown(t *testing.T) {
	for _, name := range Profiles() {
		if _, err := NewSecurity(SecurityOptions{Profile: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecurityThatIsRefused(t *testing.T) {
	for name, o := range map[string]SecurityOptions{
		"profile":        {Profile: "loose"},
		"line break":     {ContentSecurityPolicy: "a\r\nX: y"},
		"custom name":    {Custom: []Header{{"a b", "v"}}},
		"no custom name": {Custom: []Header{{"", "v"}}},
		"custom value":   {Custom: []Header{{"X-A", "v\n"}}},
		"letters":        {ReferrerPolicy: "\u00fc"},
	} {
		if _, err := NewSecurity(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSetAddsToVary(t *testing.T) {
	h := http.Header{"Vary": {"Accept-Encoding"}, "X-A": {"old", "older"}}
	Set(h, []Header{{"Vary", "Origin"}, {"X-A", "new"}})
	if want := (http.Header{"Vary": {"Accept-Encoding", "Origin"}, "X-A": {"new"}}); !reflect.DeepEqual(h, want) {
		t.Errorf("%v, want %v", h, want)
	}
}

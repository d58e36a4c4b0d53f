package policy

import (
	"net/url"
	"strings"
	"testing"
)

var sites = []string{"https://app.example.com", "https://dev.example.com:8443", "http://localhost:3000", ".corp.com", "https://.wild.org:444"}

func TestRedirects(t *testing.T) {
	l, err := NewRedirects(sites)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, raw string
		want      bool
	}{
		{"site", "https://app.example.com", true},
		{"path and query", "https://app.example.com/a?b=c#d", true},
		{"its port said", "https://app.example.com:443/", true},
		{"capitals", "HTTPS://APP.example.com/", true},
		{"port", "https://dev.example.com:8443/x", true},
		{"plain http where named", "http://localhost:3000/", true},
		{"below", "https://a.corp.com/", true},
		{"far below", "https://a.b.corp.com/", true},
		{"below, port", "https://a.wild.org:444/", true},

		{"A5 userinfo", "https://app.example.com@evil.com/", false},
		{"A5 userinfo of ours", "https://evil@app.example.com/", false},
		{"A5 userinfo and backslash", `https://app.example.com\@evil.com/`, false},
		{"A5 userinfo and password", "https://a:b@app.example.com/", false},
		{"A6 suffix", "https://evil-corp.com/", false},
		{"A6 suffix of a site", "https://evilapp.example.com/", false},
		{"A6 prefix", "https://app.example.com.evil/", false},
		{"A6 parent itself", "https://corp.com/", false},
		{"A6 dot alone", "https://.corp.com/", false},
		{"A6 trailing dot", "https://a.corp.com./", false},
		{"A6 subdomain of a site", "https://x.app.example.com/", false},
		{"A7 other port", "https://app.example.com:8443/", false},
		{"A7 port missing", "https://dev.example.com/", false},
		{"A7 http", "http://app.example.com/", false},
		{"A7 http on the port of https", "http://app.example.com:443/", false},
		{"A7 http below", "http://a.corp.com/", false},
		{"A7 http below, on the port of https", "http://a.corp.com:443/", false},
		{"A7 port below", "https://a.corp.com:8443/", false},
		{"A7 javascript", "javascript://app.example.com/%0aalert(1)", false},
		{"A7 data", "data:text/html,https://app.example.com", false},
		{"A7 no scheme", "//app.example.com/", false},
		{"A7 path", "/app.example.com", false},
		{"A7 opaque", "https:app.example.com", false},
		{"A7 one slash", "https:/app.example.com", false},
		{"A7 three slashes", "https:///app.example.com", false},
		{"A7 empty port", "https://app.example.com:/", false},
		{"tab", "https://app.example.com\t/", false},
		{"space first", " https://app.example.com/", false},
		{"backslash in the path", `https://app.example.com/\..`, false},
		{"escape in the host", "https://app%2eexample.com/", false},
		{"letters", "https://\u00fcapp.corp.com/", false},
		{"fullwidth dot", "https://app\uff0ecorp.com/", false},
		{"A15 too long", "https://app.example.com/" + strings.Repeat("a", 1000), false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := l.Allows(tt.raw); got != tt.want {
				t.Errorf("%q: %v", tt.raw, got)
			}
		})
	}
	var none *Redirects
	if none.Allows("https://app.example.com") {
		t.Error("nothing is allowed by no list")
	}
}

func TestRedirectSitesThatAreRefused(t *testing.T) {
	for _, s := range []string{"", ".", "app.example.com", "ftp://a.b", "https://", "https://a.b/c", "https://a.b?c", "https://a@b.c",
		"https://*.b.c", "https://..b.c", "https://a.b:", "javascript:", "https://a b"} {
		if _, err := NewRedirects([]string{s}); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
	_, err := NewRedirects([]string{"bad1", "https://fine.example", "bad2"})
	if err == nil || !strings.Contains(err.Error(), "bad1") || !strings.Contains(err.Error(), "bad2") || strings.Contains(err.Error(), "fine") {
		t.Errorf("the error %v does not name what is wrong and that alone", err)
	}
}

func FuzzRedirects(f *testing.F) {
	for _, s := range []string{"https://app.example.com/a", `https://app.example.com\@evil.com`, "https://a.corp.com:443", "https://x@a.corp.com"} {
		f.Add(s)
	}
	l, err := NewRedirects(sites)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if !l.Allows(raw) {
			return
		}
		u, err := url.Parse(browserReads(raw))
		if err != nil {
			t.Fatalf("%q is allowed and no URL", raw)
		}
		host := strings.ToLower(u.Hostname())
		known := host == "app.example.com" || host == "dev.example.com" || host == "localhost" ||
			strings.HasSuffix(host, ".corp.com") || strings.HasSuffix(host, ".wild.org")
		if !known || u.User != nil {
			t.Fatalf("%q leads to %s", raw, u)
		}
	})
}

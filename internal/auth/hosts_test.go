package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCanonicalHost(t *testing.T) {
	for _, row := range []struct{ host, scheme, want string }{
		{"app.example.com", "https", "app.example.com"},
		{"APP.Example.COM:443", "https", "app.example.com"},
		{"app.example.com:443", "http", "app.example.com:443"},
		{"app.example.com:80", "http", "app.example.com"},
		{"app.example.com.:8443", "https", "app.example.com:8443"},
		{"app.example.com.", "https", "app.example.com"},
		{"app.example.com:", "https", "app.example.com"},
		{"[2001:DB8::1]:443", "https", "[2001:db8::1]"},
		{"[2001:db8::1]:8443", "https", "[2001:db8::1]:8443"},
		{"app_1.localhost:8080", "http", "app_1.localhost:8080"},
		{"a@b.example.com", "https", "a@b.example.com"},
		{"app.example.com:443:443", "https", "app.example.com:443:443"},
		{"app.example.com..", "https", "app.example.com.."},
		{"", "https", ""},
		{"A." + strings.Repeat("a", 1_000_000) + ":443", "https", "A." + strings.Repeat("a", 1_000_000) + ":443"},
	} {
		if got := canonicalHost(row.host, row.scheme); got != row.want {
			t.Errorf("L29 %.100s of %s: %.100q, want %.100q", row.host, row.scheme, got, row.want)
		}
	}
}

func TestRemovedPrefix(t *testing.T) {
	for _, row := range []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{"/app"}, "/app"},
		{[]string{"/app/"}, "/app"},
		{[]string{"/app", "/v1"}, "/app/v1"},
		{[]string{"/app/", "/v1/"}, "/app/v1"},
		{[]string{"/a.b/c-d_e~f"}, "/a.b/c-d_e~f"},
		{[]string{"/"}, ""},
		{[]string{"app"}, ""},
		{[]string{"/../app"}, ""},
		{[]string{"/app/.."}, ""},
		{[]string{"/./app"}, ""},
		{[]string{"///evil.test"}, ""},
		{[]string{"/app, /v1"}, ""},
		{[]string{"/%61pp"}, ""},
		{[]string{"/app?x"}, ""},
		{[]string{"https://evil.test"}, ""},
		{[]string{"/" + strings.Repeat("a", maxPrefix)}, ""},
		{strings.Split(strings.Repeat("/a ", maxPrefixes+1), " "), ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Header["X-Forwarded-Prefix"] = row.values
		if got := removedPrefix(r); got != row.want {
			t.Errorf("L29 A11 %.60q: %q, want %q", row.values, got, row.want)
		}
	}
}

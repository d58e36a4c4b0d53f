package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/headers"
)

type backendOf struct{ writer http.ResponseWriter }

func (b *backendOf) ServeHTTP(w http.ResponseWriter, _ *http.Request) { b.writer = w }

func securityOf(t *testing.T, o headers.SecurityOptions) *headers.Security {
	t.Helper()
	s, err := headers.NewSecurity(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A middleware without security options adds no handler: its requests go to the backend
// itself.
func TestNothingSetIsNoHandlerMore(t *testing.T) {
	next := &backendOf{}
	m := &Middleware{o: Options{Security: securityOf(t, headers.SecurityOptions{})}}
	if m.dress(next) != http.Handler(next) {
		t.Error("a handler lies in between")
	}
}

func TestDressedBackend(t *testing.T) {
	cors, problems := headers.NewCORS(headers.CORSOptions{Origins: []string{"https://a.test"}})
	if problems != nil {
		t.Fatal(problems)
	}
	next := &backendOf{}
	m := &Middleware{o: Options{Security: securityOf(t, headers.SecurityOptions{FrameOptions: "DENY"}), CORS: cors}}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Origin", "https://a.test")
	m.dress(next).ServeHTTP(w, r)
	if next.writer != http.ResponseWriter(w) {
		t.Error("K17 the backend got another ResponseWriter")
	}
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "Access-Control-Allow-Origin": "https://a.test", "Vary": "Origin", "Cache-Control": ""} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// The operator's headers for the backend do not weaken the plugin's own responses.
func TestOwnHeadersAreStrict(t *testing.T) {
	m := &Middleware{o: Options{Security: securityOf(t, headers.SecurityOptions{
		FrameOptions: "SAMEORIGIN", ContentSecurityPolicy: "default-src *", ReferrerPolicy: "unsafe-url",
	})}}
	head := http.Header{}
	m.ownHeaders(head, httptest.NewRequest(http.MethodGet, "/", nil))
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Vary": "Cookie", "Access-Control-Allow-Origin": ""} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

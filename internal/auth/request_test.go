package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/session"
)

// A row is a request by its method and headers, with the expected result.
type row struct {
	name   string
	method string
	head   map[string]string
	want   bool
}

func (x row) request() *http.Request {
	r := httptest.NewRequest(x.method, "https://site.example/page", nil)
	for k, v := range x.head {
		r.Header.Set(k, v)
	}
	return r
}

func TestNavigation(t *testing.T) {
	html := "text/html,application/xhtml+xml,*/*;q=0.8"
	rows := []row{
		{"a browser", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": html}, true},
		{"a browser that tells nothing", "GET", map[string]string{"Accept": html}, true},
		{"A13 a form", "POST", map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": html}, false},
		{"B7 fetch", "GET", map[string]string{"Sec-Fetch-Mode": "cors", "Accept": html}, false},
		{"B7 an image", "GET", map[string]string{"Sec-Fetch-Mode": "no-cors", "Accept": "image/*"}, false},
		{"B7 XMLHttpRequest", "GET", map[string]string{"X-Requested-With": "XMLHttpRequest", "Accept": html}, false},
		{"a program", "GET", map[string]string{"Accept": "*/*"}, false},
		{"a program that says nothing", "GET", nil, false},
		{"H14 a WebSocket", "GET", map[string]string{"Upgrade": "websocket", "Accept": html}, false},
		{"H11 an event stream", "GET", map[string]string{"Accept": "text/event-stream"}, false},
		{"L18 B7 a prefetch", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Purpose": "prefetch", "Accept": html}, false},
		{"L18 B7 a prefetch of an older browser", "GET", map[string]string{"X-Moz": "prefetch", "Accept": html}, false},
		{"H9 HEAD", "HEAD", map[string]string{"Accept": html}, false},
		{"H9 a method by header", "POST", map[string]string{"X-HTTP-Method-Override": "GET", "Accept": html}, false},
	}
	for _, x := range rows {
		if got := navigation(x.request()); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestFromElsewhere(t *testing.T) {
	rows := []row{
		{"this site", "GET", map[string]string{"Sec-Fetch-Site": "same-origin"}, false},
		{"typed in", "GET", map[string]string{"Sec-Fetch-Site": "none"}, false},
		{"I1 another site", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
		{"I1 a sibling", "GET", map[string]string{"Sec-Fetch-Site": "same-site"}, true},
		{"I1 another site that claims to be this one", "GET", map[string]string{"Sec-Fetch-Site": "cross-site", "Referer": "https://site.example/"}, true},
		{"nothing told", "GET", nil, false},
		{"this site by Referer", "GET", map[string]string{"Referer": "https://site.example/page"}, false},
		{"I1 another site by Referer", "GET", map[string]string{"Referer": "https://evil.example/site.example"}, true},
		{"this site by Origin", "POST", map[string]string{"Origin": "https://SITE.example"}, false},
		{"I1 another site by Origin", "POST", map[string]string{"Origin": "https://evil.example"}, true},
		{"I1 a sandbox by Origin", "POST", map[string]string{"Origin": "null"}, true},
	}
	for _, x := range rows {
		if got := fromElsewhere(x.request()); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestRequestsThatNoUserMade(t *testing.T) {
	html := "text/html,application/xhtml+xml,*/*;q=0.8"
	rows := []row{
		{"a visit", "GET", map[string]string{"Sec-Fetch-Dest": "document", "Accept": html}, false},
		{"a frame", "GET", map[string]string{"Sec-Fetch-Dest": "iframe", "Accept": html}, false},
		{"fetch", "GET", map[string]string{"Sec-Fetch-Dest": "empty", "Accept": "*/*"}, false},
		{"a form", "POST", map[string]string{"Sec-Fetch-Dest": "document", "Accept": html}, false},
		{"a browser that tells nothing", "GET", map[string]string{"Accept": html}, false},
		{"an API client", "GET", map[string]string{"Accept": "*/*"}, false},
		{"an API client that says nothing", "GET", nil, false},
		{"an API client that posts", "POST", map[string]string{"Accept": "image/png"}, false},
		{"an image in the address bar", "GET", map[string]string{"Accept": "image/avif,text/html"}, false},
		{"a purpose of another kind", "GET", map[string]string{"Purpose": "visit", "Accept": html}, false},
		{"L18 a long purpose", "GET", map[string]string{"Sec-Purpose": strings.Repeat("a", 1<<20), "Accept": html}, true},
		{"L18 a purpose in capitals", "GET", map[string]string{"Purpose": "Prefetch", "Accept": html}, true},
		{"L18 a preview", "GET", map[string]string{"X-Purpose": "preview", "Accept": html}, true},
		{"L18 a destination that nobody knows", "GET", map[string]string{"Sec-Fetch-Dest": "hologram", "Accept": html}, true},
		{"L18 an image, untold", "GET", map[string]string{"Accept": "image/avif,image/webp,*/*;q=0.8"}, true},
		{"L18 a style sheet, untold", "GET", map[string]string{"Accept": "text/css,*/*;q=0.1"}, true},
		{"L18 a video, untold", "GET", map[string]string{"Accept": "video/webm,*/*;q=0.5"}, true},
		{"L18 a link that was followed", "POST", map[string]string{"Content-Type": "text/ping", "Sec-Fetch-Dest": "empty", "Accept": "*/*"}, true},
		{"L18 a font, untold", "GET", map[string]string{"Accept": "application/font-woff2;q=1.0,*/*;q=0.8"}, true},
	}
	for _, x := range rows {
		if r := x.request(); (aheadOfVisit(r) || partOfPage(r)) != x.want {
			t.Errorf("%s: not %v", x.name, x.want)
		}
	}
}

func TestOrigin(t *testing.T) {
	rows := []struct {
		name  string
		force bool
		head  map[string]string
		want  string
	}{
		{"forced", true, nil, "https://site.example"},
		{"A9 X-Forwarded-Host does not count", true, map[string]string{"X-Forwarded-Host": "evil.example"}, "https://site.example"},
		{"A10 a downgrade does not count", true, map[string]string{"X-Forwarded-Proto": "http"}, "https://site.example"},
		{"plain", false, map[string]string{"X-Forwarded-Proto": "http"}, "http://site.example"},
		{"as Traefik says", false, map[string]string{"X-Forwarded-Proto": "https"}, "https://site.example"},
		{"A10 a WebSocket", false, map[string]string{"X-Forwarded-Proto": "wss"}, "https://site.example"},
		{"A10 nonsense", false, map[string]string{"X-Forwarded-Proto": "javascript"}, "http://site.example"},
	}
	for _, x := range rows {
		r := httptest.NewRequest("GET", "http://site.example/page", nil)
		for k, v := range x.head {
			r.Header.Set(k, v)
		}
		m := &Middleware{o: Options{ForceHTTPS: x.force}}
		if got := m.origin(r); got != x.want {
			t.Errorf("%s: %s", x.name, got)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	rows := []struct {
		name, query string
		want        answer
		problem     string
	}{
		{"a code", "code=c&state=s", answer{code: "c", state: "s"}, ""},
		{"with iss", "code=c&state=s&iss=i", answer{code: "c", state: "s", issuer: "i", issuerGiven: true}, ""},
		{"an empty iss is given", "code=c&state=s&iss=", answer{code: "c", state: "s", issuerGiven: true}, ""},
		{"an error", "error=access_denied&state=s", answer{err: "access_denied", state: "s"}, ""},
		{"more than we know", "code=c&state=s&session_state=x&session_state=y", answer{code: "c", state: "s"}, ""},
		{"B2 no state", "code=c", answer{}, "no_state"},
		{"B2 an empty state", "code=c&state=", answer{}, "no_state"},
		{"B14 two codes", "code=a&code=b&state=s", answer{}, "repeated_code"},
		{"B14 two states", "code=a&state=s&state=s", answer{}, "repeated_state"},
		{"B13 two issuers", "code=a&state=s&iss=i&iss=i", answer{}, "repeated_iss"},
		{"a broken escape", "code=%zz&state=s", answer{}, "malformed"},
		{"a semicolon", "code=c;state=s", answer{}, "malformed"},
		{"a code of 4 KB", "state=s&code=" + strings.Repeat("c", 4096), answer{code: strings.Repeat("c", 4096), state: "s"}, ""},
		{"a code of all that is visible", "state=s&code=" + url.QueryEscape(visible), answer{code: visible, state: "s"}, ""},
		{"L3 K3 a code of more", "state=s&code=" + strings.Repeat("c", 4097), answer{}, "malformed_code"},
		{"L3 K3 a code of NUL", "state=s&code=%00", answer{}, "malformed_code"},
		{"L3 K3 a code with a NUL", "state=s&code=a%00b", answer{}, "malformed_code"},
		{"L3 K3 a code with a line break", "state=s&code=a%0D%0Ab", answer{}, "malformed_code"},
		{"L3 K3 a code with a tab", "state=s&code=a%09b", answer{}, "malformed_code"},
		{"L3 K3 a code with DEL", "state=s&code=a%7Fb", answer{}, "malformed_code"},
		{"L3 K3 a code beyond ASCII", "state=s&code=a%C3%A9b", answer{}, "malformed_code"},
		{"L3 K3 a code that is no UTF-8", "state=s&code=a%FFb", answer{}, "malformed_code"},
		{"L3 K3 such a code beside an error", "state=s&error=x&code=%00", answer{}, "malformed_code"},
		{"huge", "code=" + strings.Repeat("c", 1<<20), answer{}, "too_long"},
	}
	for _, x := range rows {
		got, problem := parseAnswer(x.query)
		if problem != x.problem || (problem == "" && got != x.want) {
			t.Errorf("%s: %+v, %q", x.name, got, problem)
		}
	}
}

func TestLoopCause(t *testing.T) {
	m := &Middleware{o: Options{Cookies: session.Cookies{Secure: true}}}
	rows := []struct {
		name string
		head map[string]string
		want string
	}{
		{"B26 no cookies", nil, "cookies_blocked"},
		{"B26 http and https mixed", map[string]string{"X-Forwarded-Proto": "http", "Cookie": "a=1"}, "http_and_https_mixed"},
		{"L27 a cookieDomain", map[string]string{"X-Forwarded-Proto": "https"}, "cookie_domain_refused"},
		{"B26 something else", map[string]string{"X-Forwarded-Proto": "https", "Cookie": "a=1"}, "sign_in_loop"},
	}
	for _, x := range rows {
		r := httptest.NewRequest("GET", "http://site.example/cb", nil)
		for k, v := range x.head {
			r.Header.Set(k, v)
		}
		m.o.Cookies.Domain = ""
		if x.want == cookieDomainRefused.code {
			m.o.Cookies.Domain = "co.uk"
		}
		if got, err := m.loopCause(r, session.ErrLoginElsewhere); got.code != x.want || !errors.Is(err, session.ErrLoginElsewhere) {
			t.Errorf("%s: %s, %v", x.name, got.code, err)
		}
	}
}

package headers

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func newCORS(t testing.TB, o CORSOptions) *CORS {
	t.Helper()
	c, problems := NewCORS(o)
	if problems != nil {
		t.Fatal(problems)
	}
	return c
}

func TestOrigins(t *testing.T) {
	c := newCORS(t, CORSOptions{Origins: []string{"https://app.example.com", "https://*.Wild.org", "http://localhost:*", "https://p.org:8443",
		"https://*.any.org:*", "http://[::1]:*", "https://own.org:443"}})
	allowed := []string{"https://app.example.com", "https://a.wild.org", "https://a.b.wild.org", "http://localhost:3000", "http://localhost",
		"https://p.org:8443", "https://x.any.org:1", "http://[::1]:80", "http://[::1]:5000", "https://own.org"}
	for _, o := range allowed {
		if got := valuesOf(c.Response([]string{o})); got["Access-Control-Allow-Origin"] != o || got["Vary"] != "Origin" {
			t.Errorf("%s: %v", o, got)
		}
	}
	refused := []string{"", "null", "*", "https://app.example.com:444", "http://app.example.com", "https://app.example.com.evil", "https://evilapp.example.com",
		"https://wild.org", "https://evilwild.org", "https://.wild.org", "http://a.wild.org", "https://a.wild.org:8443", "https://a.wild.org.evil",
		"https://evil/.wild.org", "https://evil#.wild.org", "https://evil?.wild.org", "https://evil@a.wild.org", `https://evil\.wild.org`, "https://evil:80.wild.org",
		"http://localhost:3000/", "http://localhost:3000x", "http://localhost:*", "http://localhost.evil:3000", "https://localhost:3000",
		"http://localhost:", "http://localhost:123456", "https://p.org", "https://*.wild.org", "https://\u00fc.wild.org",
		"https://" + strings.Repeat("a", 400) + ".wild.org"}
	for _, o := range refused {
		if got := valuesOf(c.Response([]string{o})); got["Access-Control-Allow-Origin"] != "" || got["Vary"] != "Origin" {
			t.Errorf("%q: %v", o, got)
		}
	}
	if got := valuesOf(c.Response([]string{"https://app.example.com", "https://app.example.com"})); got["Access-Control-Allow-Origin"] != "" {
		t.Error("two origins are none")
	}
}

func TestPreflight(t *testing.T) {
	o := CORSOptions{Origins: []string{"https://a.b"}, Methods: []string{"GET", "PUT"}, Headers: []string{"Content-Type", "X-Own"},
		AllowCredentials: true, MaxAge: 10 * time.Minute}
	open := CORSOptions{Origins: []string{"*"}, Methods: []string{"*"}, Headers: []string{"*"}}
	granted := map[string]string{"Access-Control-Allow-Origin": "https://a.b", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "Content-Type, X-Own", "Access-Control-Max-Age": "600"}
	forAll := map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "*", "Access-Control-Allow-Headers": "*"}
	none := map[string]string{}
	tests := []struct {
		name                    string
		options                 CORSOptions
		origin, method, headers string
		want                    map[string]string
	}{
		{"allowed", o, "https://a.b", "PUT", "content-type, x-own", granted},
		{"method that needs no permission", o, "https://a.b", "POST", "", granted},
		{"other origin", o, "https://evil", "PUT", "", none},
		{"other method", o, "https://a.b", "DELETE", "", none},
		{"lower-case method is another", o, "https://a.b", "put", "", none},
		{"other header", o, "https://a.b", "PUT", "content-type,x-other", none},
		{"too many headers", o, "https://a.b", "PUT", strings.Repeat("x-own,", 1000), none},
		{"null", o, "null", "GET", "", none},
		{"everybody", open, "https://evil", "DELETE", "x-any", forAll},
		{"everybody, without the Authorization header", open, "https://evil", "GET", "authorization", none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Method: "OPTIONS", Header: http.Header{"Origin": {tt.origin}, "Access-Control-Request-Method": {tt.method}}}
			if tt.headers != "" {
				r.Header.Set("Access-Control-Request-Headers", tt.headers)
			}
			got := valuesOf(newCORS(t, tt.options).Preflight(r))
			if !strings.HasPrefix(got["Vary"], "Origin, ") {
				t.Error("without Vary")
			}
			delete(got, "Vary")
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestCredentialsNeverForEverybody(t *testing.T) {
	for _, o := range []CORSOptions{
		{Origins: []string{"*"}, AllowCredentials: true},
		{Origins: []string{"https://a.b", "*"}, AllowCredentials: true},
		{Origins: []string{"https://a.b"}, Headers: []string{"*"}, AllowCredentials: true},
		{Origins: []string{"https://a.b"}, Methods: []string{"*"}, AllowCredentials: true},
	} {
		if c, problems := NewCORS(o); c != nil || len(problems) != 1 || problems[0].Value != "*" {
			t.Errorf("%+v accepted", o)
		}
	}
}

func TestCORSThatIsRefused(t *testing.T) {
	for _, origin := range []string{"", "a.b", "ftp://a.b", "https://", "https://a.b/", "https://a.b/c", "https://*", "https://a.*.b", "https://a.b:x", "https://a@b",
		"null", "https://*a.b", "https://\u00fc.b"} {
		if c, problems := NewCORS(CORSOptions{Origins: []string{origin}}); c != nil || len(problems) != 1 || problems[0].Field != "origins" || problems[0].Value != origin {
			t.Errorf("%q accepted", origin)
		}
	}
	_, problems := NewCORS(CORSOptions{Origins: []string{"bad1"}, Methods: []string{"A B"}, Headers: []string{"X\r\nY", ""}})
	for i, want := range []CORSProblem{{Field: "origins", Value: "bad1"}, {Field: "methods", Value: "A B"}, {Field: "headers", Value: "X\r\nY"}, {Field: "headers"}} {
		if i >= len(problems) || problems[i].Field != want.Field || problems[i].Value != want.Value || problems[i].Text == "" {
			t.Errorf("%v is not problem %d of %v", want, i, problems)
		}
	}
}

func TestNoCORS(t *testing.T) {
	var none *CORS
	r := &http.Request{Method: "OPTIONS", Header: http.Header{"Origin": {"https://a.b"}, "Access-Control-Request-Method": {"PUT"}}}
	if got := none.Preflight(r); len(got) != 1 || got[0].Name != "Vary" {
		t.Errorf("%v", got)
	}
	if none.Response([]string{"https://a.b"}) != nil {
		t.Error("headers without a configuration")
	}
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://a.wild.org", "http://localhost:1", "https://evil/.wild.org", "https://evil:1.wild.org", "null"} {
		f.Add(s)
	}
	c := newCORS(f, CORSOptions{Origins: []string{"https://*.wild.org", "http://localhost:*"}})
	f.Fuzz(func(t *testing.T, origin string) {
		if valuesOf(c.Response([]string{origin}))["Access-Control-Allow-Origin"] == "" {
			return
		}
		host, isWild := strings.CutPrefix(origin, "https://")
		if isWild {
			if !strings.HasSuffix(host, ".wild.org") && !strings.HasSuffix(host, ".wild.org:443") || strings.ContainsAny(host, "/@?# \\") {
				t.Errorf("%q", origin)
			}
			return
		}
		rest := strings.TrimPrefix(origin, "http://localhost")
		if rest != "" && (rest[0] != ':' || strings.Trim(rest[1:], "0123456789") != "") {
			t.Errorf("%q", origin)
		}
	})
}

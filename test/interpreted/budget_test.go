package interpreted

import (
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// A budget is the number of memory allocations of the plugin for one request of each
// kind. The interpreter allocates for every call and for every expression of a function,
// so this is the cost of a request, without the noise of a clock.
type budget struct {
	bare     int // a signed-in request with only its cookie
	browsers int // one with the headers of a browser
	recent   int // the same with the cookies that sign-ins leave for a while
	refused  int // a script's request without a session: 401
	sent     int // a page without a session: 302
}

// budgets are by the version of Go. A change that makes a request dearer by more than
// two in a hundred fails. One that makes it cheaper changes the number here.
var budgets = map[string]budget{
	"go1.26": {bare: 186, browsers: 265, recent: 343, refused: 1273, sent: 3973},
}

// slack is the percentage by which a request may become dearer.
const slack = 2

// TestBudget counts without the race detector. make check and scripts/test.sh run it
// so.
func TestBudget(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates on its own")
	}
	version := regexp.MustCompile(`^go1\.\d+`).FindString(runtime.Version())
	s := newSite(t, setup{})
	session := cookie + "=" + s.value(s.signedIn("alice"))
	h := s.plugin.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), t.Name(), optionsFor(s.provider))
	page := browserHeaders("_ga=GA1.1.1804289383.1700000000; theme=dark; " + session + "; lang=en-GB; consent=a%3A1; csrf=8b5c1d; cart=3")
	recent := browserHeaders("theme=dark; " + cookie + "-s-8Qm3x_1A=" + strings.Repeat("a", 120) + "; " + session + "; " + cookie + "-s-b0Zt-9Lk=" + strings.Repeat("b", 300) + "; lang=en-GB")
	visitor := browserHeaders("")
	have := budget{
		bare:     allocations(t, h, request("GET /x", "Cookie: "+session), 200),
		browsers: allocations(t, h, request("GET /reports/2024?page=2", page...), 200),
		recent:   allocations(t, h, request("GET /reports/2024?page=2", recent...), 200),
		refused:  allocations(t, h, request("GET /x", "Accept: */*"), 401),
		sent:     allocations(t, h, request("GET /reports/2024?page=2", visitor...), 302),
	}
	t.Logf("%q: %+v", version, have)
	recorded, known := budgets[version]
	if !known {
		t.Skipf("no budget is recorded for %s; add %+v", version, have)
	}
	for _, row := range []struct {
		name       string
		have, most int
	}{
		{"a signed-in request", have.bare, recorded.bare},
		{"a signed-in request of a browser", have.browsers, recorded.browsers},
		{"a signed-in request of a browser after a sign-in", have.recent, recorded.recent},
		{"a request that gets 401", have.refused, recorded.refused},
		{"a redirect to the provider", have.sent, recorded.sent},
	} {
		if 100*row.have > (100+slack)*row.most {
			t.Errorf("%s allocates %d times; the budget of %s is %d: make it cheaper, or record the new number and say why", row.name, row.have, version, row.most)
		}
	}
}

// TestBudgetAfterOthers checks the budget of a browser with a header that the plugin
// does not know beforehand, after other clients sent many such headers.
func TestBudgetAfterOthers(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates on its own")
	}
	s := newSite(t, setup{})
	session := "Cookie: " + cookie + "=" + s.value(s.signedIn("alice"))
	h := s.plugin.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), t.Name(), optionsFor(s.provider))
	cost := func(name string) int {
		page := append(browserHeaders(""), session, name+": 1")
		return allocations(t, h, request("GET /reports/2024?page=2", page...), http.StatusOK)
	}
	flood := func(name string, want int, more ...string) {
		for i := range 1000 {
			w := &sink{header: http.Header{}}
			r := received(t, request("GET /x", append([]string{fmt.Sprintf("X-%s-%d: 1", name, i)}, more...)...))
			if h.ServeHTTP(w, r); w.status != want {
				t.Fatalf("status %d, want %d", w.status, want)
			}
		}
	}
	calm := cost("X-Calm")
	for _, row := range []struct {
		name  string
		flood func()
	}{
		{"L37 names of a client without a session", func() { flood("Stranger", http.StatusUnauthorized) }},
		{"L37 names of another user", func() {
			flood("Mallory", http.StatusOK, "Cookie: "+cookie+"="+s.value(s.signedIn("bob")))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.flood()
			if n := cost("X-" + strings.ReplaceAll(row.name, " ", "-")); 100*n > (100+slack)*calm {
				t.Errorf("a request of a browser allocates %d times, and %d before", n, calm)
			}
		})
	}
}

// browserHeaders are the 17 headers that Chrome's requests for a page have behind
// Traefik, or 16 without cookies.
func browserHeaders(cookies string) []string {
	lines := []string{
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: en-GB,en;q=0.9", "Priority: u=0, i", `Sec-Ch-Ua: "Chromium";v="142", "Not_A Brand";v="99"`, "Sec-Ch-Ua-Mobile: ?0",
		`Sec-Ch-Ua-Platform: "Linux"`, "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none", "Upgrade-Insecure-Requests: 1",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: " + appHost, "X-Forwarded-Proto: https", "X-Real-Ip: 192.0.2.1",
	}
	if cookies != "" {
		lines = append(lines, "Cookie: "+cookies)
	}
	return lines
}

// allocations returns the allocations of h for the request of raw, beyond those of a
// handler that does nothing. It is the least of several measurements, because other
// goroutines allocate too.
func allocations(t *testing.T, h http.Handler, raw string, want int) int {
	t.Helper()
	r := received(t, raw)
	head := r.Header
	status := 0
	count := func(h http.Handler) int {
		least := -1
		for range 7 {
			n := int(testing.AllocsPerRun(50, func() {
				r.Header = head.Clone()
				w := &sink{header: http.Header{}}
				h.ServeHTTP(w, r)
				status = w.status
			}))
			if least < 0 || n < least {
				least = n
			}
		}
		return least
	}
	nothing := count(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	n := count(h)
	if status != want {
		t.Fatalf("%.40q: status %d, want %d", raw, status, want)
	}
	return n - nothing
}

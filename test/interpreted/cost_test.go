package interpreted

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// tolerated bounds the work of a hostile request, as a multiple of that of a plain one.
const tolerated = 20

// A sink is a ResponseWriter that keeps only the status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) Write(b []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return len(b), nil
}

func (s *sink) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
}

// received returns the request of raw as a server hands it to a handler.
func received(t testing.TB, raw string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReaderSize(strings.NewReader(raw), 1<<16))
	if err != nil {
		t.Fatalf("%.100q: %v", raw, err)
	}
	r.RemoteAddr = "192.0.2.1:4711"
	return r
}

// work returns the time of h for the request of raw, and the status of its response. The
// time to read the request is not included, because every handler needs it.
func work(t testing.TB, h http.Handler, raw string) (time.Duration, int) {
	t.Helper()
	r := received(t, raw)
	w := &sink{header: http.Header{}}
	began := time.Now()
	h.ServeHTTP(w, r)
	return time.Since(began), w.status
}

// A line is a connection to a server.
type line struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dialled(t testing.TB, h http.Handler) *line {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &line{conn, bufio.NewReader(conn)}
}

// ask returns the whole time until the response to the request of raw.
func (l *line) ask(t testing.TB, raw string) time.Duration {
	t.Helper()
	method, _, _ := strings.Cut(raw, " ")
	began := time.Now()
	_, err := io.WriteString(l.conn, raw)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(l.reader, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// A flood has many of something that a client may choose.
type flood struct {
	name   string
	plain  string // the request without it
	raw    string
	status int
}

// mostTries is the number of tries of which the least is the cost of a request.
const mostTries = 3000

// TestHostileRequests fails if the work of the interpreter grows with the size of a
// request. The cost beyond a handler that does nothing is compared with the time of a
// plain request at a server. Both are the least of many tries, so that a busy machine only
// makes the test longer.
func TestHostileRequests(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("takes half a minute; the race detector slows the standard library most")
	}
	options := map[string]any{
		"excludedURLs": []any{"/public"}, "logLevel": "error", "trustedProxies": []any{"192.0.2.0/24"},
		"enableBackchannelLogout": true, "backchannelLogoutURL": "/oidc/ended", "enableFrontchannelLogout": true, "frontchannelLogoutURL": "/oidc/frame",
		"securityHeaders": map[string]any{"corsEnabled": true, "corsAllowedOrigins": []any{"https://a.test"}, "corsAllowedHeaders": []any{"X-A"}},
	}
	s := newSite(t, setup{options: options})
	session := cookie + "=" + s.value(s.signedIn("alice"))
	all := optionsFor(s.provider)
	maps.Copy(all, options)
	h := s.plugin.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), t.Name(), all)
	sibling := optionsFor(s.provider)
	sibling["cookiePrefix"] = siblingCookie
	s.plugin.New(t, s.echo, t.Name()+"-sibling", sibling)
	costLittle(t, h, append(append(append(floods(session), cookieFloods(session)...), pathFloods()...), deliveryFloods(s)...))
}

// costLittle asks h for each of list.
func costLittle(t *testing.T, h http.Handler, list []flood) {
	t.Helper()
	server := dialled(t, h)
	for _, f := range list {
		t.Run(f.name, func(t *testing.T) {
			plain, hostile := time.Hour, time.Hour
			for tries := 0; tries < 10 || hostile > tolerated*plain; tries++ {
				if tries == mostTries {
					t.Fatalf("%v, where a plain one takes %v", hostile, plain)
				}
				plain = min(plain, server.ask(t, f.plain))
				took, status := work(t, h, f.raw)
				hostile = min(hostile, took)
				if status != f.status {
					t.Fatalf("status %d, want %d", status, f.status)
				}
			}
			t.Logf("%v, a plain one %v: %.1f times", hostile, plain, float64(hostile)/float64(plain))
		})
	}
}

func request(line string, head ...string) string {
	return line + " HTTP/1.1\r\nHost: " + appHost + "\r\n" + strings.Join(append(head, "", ""), "\r\n")
}

// numbered returns n headers of the form, which has a place for a number.
func numbered(n int, form string) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(form, i))
	}
	return lines
}

// siblingCookie is the name of the session cookie of another middleware.
const siblingCookie = "__Host-sibling"

// floods are the floods of headers.
func floods(session string) []flood {
	in := "Cookie: " + session
	signedIn, stranger, public := request("GET /x", in), request("GET /x"), request("GET /public/x")
	page := request("GET /x", "Accept: text/html")
	few := strings.Repeat("a;", 30_000)
	own := strings.Repeat(cookie+"=x;", 4_600)
	logins := strings.Repeat(cookie+"-s-abcdefgh=x; ", 2_300)
	return []flood{
		{"L5 a megabyte of cookies on a public path", public, request("GET /public/x", "Cookie: oidc=x;"+strings.Repeat("a;", 500_000)), 431},
		{"L5 a megabyte of cookies, not signed in", stranger, request("GET /x", "Cookie: oidc=x;"+strings.Repeat("a;", 500_000)), 431},
		{"L5 a megabyte of cookies, signed in", signedIn, request("GET /x", in+"; "+strings.Repeat("a;", 500_000)), 431},
		{"L5 a megabyte of the chunks of another plugin", page, request("GET /x", "Accept: text/html", "Cookie: "+strings.Repeat("_oidc_raczylo_a_1=x; ", 45_000)), 431},
		{"L5 60 KB of cookies on a public path", public, request("GET /public/x", "Cookie: "+few+" "+session), 200},
		{"L5 60 KB of cookies, signed in", signedIn, request("GET /x", in+"; "+few), 200},
		{"L5 60 KB of cookies, not signed in", stranger, request("GET /x", "Cookie: "+few+cookie+"=x"), 401},
		{"L5 60 KB of cookies of ours on a public path", public, request("GET /public/x", "Cookie: "+own), 431},
		{"L5 60 KB of cookies of ours, not signed in", stranger, request("GET /x", "Cookie: "+own), 401},
		{"L5 60 KB of cookies of ours, signed in", signedIn, request("GET /x", in+"; "+own), 431},
		{"L5 60 KB of cookies named almost like ours, signed in", signedIn, request("GET /x", in+"; "+strings.Repeat(cookie+"x;", 4_600)), 200},
		{"L5 60 KB of sign-ins, a page", page, request("GET /x", "Accept: text/html", "Cookie: "+logins), 302},
		{"L5 sign-ins, signed in", signedIn, request("GET /x", in+"; "+strings.Repeat(cookie+"-s-abcdefgh=x; ", 60)), 200},
		{"L5 L16 60 KB of another middleware's cookies, signed in", signedIn, request("GET /x", in+"; "+strings.Repeat(siblingCookie+"=x;", 3_500)), 431},
		{"L5 L16 sixty cookies of another middleware, signed in", signedIn, request("GET /x", in+strings.Repeat("; "+siblingCookie+"="+strings.Repeat("A", 98), 60)), 200},
		{"L5 L16 sixty cookies of another middleware on a public path", public, request("GET /public/x", "Cookie: a=b"+strings.Repeat("; "+siblingCookie+"="+strings.Repeat("A", 98), 60)), 200},
		{"L5 L16 sixty long cookies of another middleware", public, request("GET /public/x", "Cookie: a=b"+strings.Repeat("; "+siblingCookie+"-s-12345678="+strings.Repeat("A", 1_000), 60)), 200},
		{"L5 made-up sessions", stranger, request("GET /x", "Cookie: "+strings.Repeat(cookie+"="+strings.Repeat("A", 98)+"; ", 500)), 401},
		{"L5 made-up sign-ins, a page", page, request("GET /x", "Accept: text/html", "Cookie: "+strings.Repeat(cookie+"-s-abcdefgh="+strings.Repeat("A", 104)+"; ", 450)), 302},
		{"L5 crumbs of a cookie", stranger, request("GET /x", numbered(20_000, "Cookie: a%d")...), 431},
		{"L5 empty crumbs", stranger, request("GET /x", strings.Split(strings.Repeat("Cookie:,", 30_000), ",")[:30_000]...), 431},
		{"L5 a hundred crumbs on a public path", public, request("GET /public/x", numbered(100, "Cookie: a%d")...), 200},
		{"L5 60,000 names", stranger, request("GET /x", numbered(60_000, "X-A-%d: x")...), 431},
		{"L5 190 names, signed in", signedIn, request("GET /x", append(numbered(190, "X_A-%d: x"), in)...), 200},
		{"L5 a megabyte in one name", stranger, request("GET /x", strings.Repeat("x", 1_000_000)+": x"), 431},
		{"L5 names of ours in 180 spellings", stranger, request("GET /x", spelledOut("x-forwarded-user", 180)...), 401},
		{"L5 a megabyte in an unknown header, signed in", signedIn, request("GET /x", in, "X-Unknown: "+strings.Repeat("x", 1_000_000)), 200},
		{"L5 30,000 options of Connection", stranger, request("GET /x", "Connection: "+strings.Repeat("a,", 30_000)), 401},
		{"L5 options of Connection, each of ours", stranger, request("GET /x", "Connection: "+strings.Repeat("x-user-roles,", 78)), 401},
		{"L5 30,000 Connection headers", stranger, request("GET /x", strings.Split(strings.Repeat("Connection: a,", 30_000), ",")[:30_000]...), 401},
		{"L5 30,000 offers of an upgrade", stranger, request("GET /x", strings.Split(strings.Repeat("Upgrade: h2c,", 30_000), ",")[:30_000]...), 401},
		{"L5 names of a trailer", stranger, request("GET /x", "Transfer-Encoding: chunked", "Trailer: "+strings.Join(numbered(50_000, "x-%d"), ",")), 431},
		{"L5 a megabyte of X-Forwarded-Proto, a page", page, request("GET /x", "Accept: text/html", "X-Forwarded-Proto: "+strings.Repeat("A", 1_000_000)), 302},
		{"L5 a long Accept", stranger, request("GET /x", "Accept: "+strings.Repeat("a/b,", 200_000)), 401},
	}
}

// spelledOut returns n headers with names that are read alike.
func spelledOut(name string, n int) []string {
	const separators = "-_.!#$%&'*+^`|~"
	var lines []string
	for _, a := range separators {
		for _, b := range separators {
			if len(lines) < n {
				parts := strings.Split(name, "-")
				lines = append(lines, parts[0]+string(a)+parts[1]+string(b)+parts[2]+": x")
			}
		}
	}
	return lines
}

// pathFloods are the floods of addresses, and of parameters of our own paths.
func pathFloods() []flood {
	stranger, public, page := request("GET /x"), request("GET /public/x"), request("GET /x", "Accept: text/html")
	callback := request("GET /oidc/callback?state=x&code=x")
	logout := request("GET /oidc/callback/logout", "Sec-Fetch-Site: cross-site")
	frame := request("GET /oidc/frame?iss=a&sid=b")
	preflight := []string{"Origin: https://a.test", "Access-Control-Request-Method: GET"}
	ask := func(names string) string {
		return request("OPTIONS /x", append([]string{"Access-Control-Request-Headers: " + names}, preflight...)...)
	}
	return []flood{
		{"L5 segments that begin with a dot", public, request("GET /public" + strings.Repeat("/.a", 1_360)), 200},
		{"L5 escaped bytes of a path", public, request("GET /public/" + strings.Repeat("%c3%a4", 680)), 200},
		{"L50 an absolute form with a megabyte before a public path", public, absolute("/public/x"), 401},
		{"L5 a megabyte in the path", public, request("GET /public/" + strings.Repeat("a", 1_000_000)), 401},
		{"L5 a megabyte in the query", public, request("GET /public/?" + strings.Repeat("a&", 500_000)), 200},
		{"L5 a megabyte in a page's path", page, request("GET /"+strings.Repeat("a/", 500_000), "Accept: text/html"), 302},
		{"L5 segments of a return target", page, request("GET /"+strings.Repeat("a/", 490), "Accept: text/html"), 302},
		{"L5 characters of a return target", page, request("GET /x?"+strings.Repeat(`"`, 330), "Accept: text/html"), 302},
		{"L5 a megabyte of Host", page, strings.Replace(page, appHost, strings.Repeat("a", 1_000_000), 1), 431},
		{"L5 parameters of a callback", callback, request("GET /oidc/callback?state=x" + strings.Repeat("&a", 8_000)), 400},
		{"L5 a megabyte of a callback", callback, request("GET /oidc/callback?state=x" + strings.Repeat("&a", 500_000)), 400},
		{"L5 a long state", callback, request("GET /oidc/callback?code=x&state=" + strings.Repeat("A", 16_000)), 400},
		{"L5 addresses in X-Forwarded-For", callback, request("GET /oidc/callback?state=x&code=x", "X-Forwarded-For: "+strings.Repeat("192.0.2.1,", 90_000)), 400},
		{"L5 a megabyte of Referer at the logout", logout, request("GET /oidc/callback/logout", "Referer: https://"+strings.Repeat("a", 1_000_000)), 403},
		{"L5 parameters of a frame", frame, request("GET /oidc/frame?iss=a&sid=b" + strings.Repeat("&a", 8_000)), 400},
		{"L5 headers that a preflight asks for", ask("x-a"), ask(strings.Repeat("x-a,", 1_020)), 204},
		{"L5 a megabyte of headers that a preflight asks for", ask("x-a"), ask(strings.Repeat("x-a,", 250_000)), 204},
		{"L5 a purpose of a megabyte", stranger, request("GET /x", "Sec-Purpose: "+strings.Repeat("a", 1_000_000)), 401},
	}
}

// absolute is a request in absolute form, with a megabyte of escapes before the host.
func absolute(path string) string {
	return "GET http://" + strings.Repeat("%41", 330_000) + "@" + appHost + path + " HTTP/1.1\r\nHost: " + appHost + "\r\n\r\n"
}

// deliveryFloods are the floods of logout tokens. The plain one has an invalid
// signature, as any hostile one.
func deliveryFloods(s *site) []flood {
	foreign := oidctest.NewKey("ES256")
	foreign.ID = s.provider.SigningKey().ID
	deliver := func(body string) string {
		return request("POST /oidc/ended", "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body))) + body
	}
	signed := func(change edit) string {
		return deliver(url.Values{"logout_token": {s.provider.LogoutTokenBy(foreign, "client", "alice", "sid", change)}}.Encode())
	}
	nested := func(payload string) string {
		part := base64.RawURLEncoding.EncodeToString
		return deliver("logout_token=" + part([]byte(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"logout+jwt"}`, foreign.ID))) + "." + part([]byte(payload)) + "." + part(make([]byte, 64)))
	}
	claims := fmt.Sprintf(`{"iss":%q,"aud":"client","a":`, s.provider.URL())
	many := make([]any, 1500)
	for i := range many {
		many[i] = i % 10
	}
	plain := signed(nil)
	return []flood{
		{"L5 a list in a logout token", plain, signed(withClaim("a", many)), 400},
		{"L5 claims of a logout token", plain, nested(claims + "1" + strings.Join(numbered(500, `,"c%d":1`), "") + "}"), 400},
		{"L5 depth of a logout token", plain, nested(claims + strings.Repeat("[", 2_500) + strings.Repeat("]", 2_500) + "}"), 400},
		{"L5 elements of a logout token's header", plain, signed(withHead("x5c", many)), 400},
		{"L5 audiences of a logout token", plain, signed(withClaim("aud", strings.Split(strings.Repeat("client ", 500), " ")[:500])), 400},
		{"L5 a large logout token", plain, signed(withClaim("a", strings.Repeat("a", 60_000))), 413},
		{"L5 parameters of a delivery", plain, deliver(strings.Repeat("a&", 4_000)), 400},
		{"L5 a query of a delivery", plain, strings.Replace(plain, "/oidc/ended", "/oidc/ended?"+strings.Repeat("a&", 400_000), 1), 413},
		{"L5 parameters of a media type", plain, strings.Replace(plain, "urlencoded\r\n", "urlencoded"+strings.Repeat(";a=b", 100_000)+"\r\n", 1), 400},
	}
}

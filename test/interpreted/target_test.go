package interpreted

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/session"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

// grafana returns a link of n bytes with quotes and braces, some of them escaped.
func grafana(n int) string {
	const link = `/explore?schemaVersion=1&panes=%7B%22a1b%22:{"datasource":"P8E80F9AEF21F6940","queries":[{"refId":"A","expr":"rate({job=%5C%22x%5C%22}[5m])"}],"range":{"from":"now-1h","to":"now"}}&orgId=1&x=`
	return link + strings.Repeat(`{"a":"%7C"},`, 40) + strings.Repeat("a", n-len(link)-40*12)
}

// escaped returns such a link in the form that a browser sends.
func escaped(link string) string {
	return strings.NewReplacer(`"`, "%22", "{", "%7B", "}", "%7D").Replace(link)
}

// startPages returns the number of lines of the log, from that length on, that say why a
// sign-in leads to the start page.
func (s *site) startPages(before int, reason string) int {
	n := 0
	for _, line := range strings.Split(s.plugin.Log.Since(before), "\n") {
		if strings.Contains(line, "leads to the start page") && strings.Contains(line, reason) {
			n++
		}
	}
	return n
}

// held returns the names of the cookies with targets, and the length of the Cookie header.
func (s *site) held(b *browser.Browser) ([]string, int) {
	var names []string
	for _, name := range b.Jar.Names(s.home()) {
		if strings.Contains(name, "-s-target-") {
			names = append(names, name)
		}
	}
	return names, len(b.Jar.Header(s.home(), browser.Context{Method: http.MethodGet, TopLevel: true}))
}

func TestLongReturnTargets(t *testing.T) {
	whole := newSite(t, setup{})

	for _, row := range []struct {
		name, target, want string
		cookies            int
	}{
		{"A15 a path of 1,000 bytes", "/" + strings.Repeat("a", 999), "/" + strings.Repeat("a", 999), 0},
		{"A15 a path of 1,001 bytes", "/" + strings.Repeat("a", 1000), "/" + strings.Repeat("a", 1000), 1},
		{"A15 a link of Grafana of 1.5 KB", grafana(1500), escaped(grafana(1500)), 1},
		{"A15 a path of 2,000 bytes", "/" + strings.Repeat("a", 1999), "/" + strings.Repeat("a", 1999), 1},
		{"A15 a link of 2,000 bytes", grafana(2000), escaped(grafana(2000)), 1},
		{"A15 a path of 2,001 bytes", "/" + strings.Repeat("a", 2000), "/", 0},
		{"A15 a link of 2,001 bytes", grafana(2001), "/", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := whole.in(t)
			before := s.plugin.Log.Len()
			b := s.browser()
			p := b.Hop(s.url + row.target)
			if names, n := s.held(b); len(names) != row.cookies || n > 4096 {
				t.Errorf("cookies %v of %d bytes", names, n)
			}
			if state := p.Location().Query().Get("state"); len(state) > 1500 {
				t.Errorf("a state of %d bytes", len(state))
			}
			end := s.comeBack(b, s.provided(b, p, "alice"))
			if got := end.Header.Get("Location"); got != row.want {
				t.Errorf("leads to %q, want %q", got, row.want)
			}
			want := 0
			if row.want == "/" {
				want = 1
			}
			if n := s.startPages(before, "2001 bytes"); n != want {
				t.Errorf("%d lines: %s", n, s.plugin.Log.Since(before))
			}
			if names, _ := s.held(b); len(names) != 0 {
				t.Errorf("%v are left", names)
			}
			if row.want != "/" {
				s.sees(b.Open(s.url + row.want))
			}
		})
	}

	t.Run("L30 the cookie with the target is altered, or gone", func(t *testing.T) {
		s := whole.in(t)
		for _, alter := range []func(b *browser.Browser, name, value string){
			func(b *browser.Browser, name, value string) {
				b.Jar.Set(s.home(), name, value[:600]+"AAAA"+value[604:])
			},
			func(b *browser.Browser, name, value string) { b.Jar.Set(s.home(), name, value[:len(value)-4]) },
			func(b *browser.Browser, name, value string) { b.Jar.Set(s.home(), name, "/evil.test") },
			func(b *browser.Browser, name, _ string) { b.Jar.Delete(s.home(), name) },
		} {
			before := s.plugin.Log.Len()
			b := s.browser()
			callback := s.callbackFor(b, grafana(1500), "alice")
			names, _ := s.held(b)
			value, _ := b.Jar.Get(s.home(), names[0])
			alter(b, names[0], value)
			if got := s.comeBack(b, callback).Header.Get("Location"); got != "/" {
				t.Errorf("leads to %q", got)
			}
			if n := s.startPages(before, "the cookie with the page's address"); n != 1 {
				t.Errorf("%d lines: %s", n, s.plugin.Log.Since(before))
			}
		}
	})

	t.Run("L30 B6 many tabs", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		var callbacks []*url.URL
		for range 15 {
			callbacks = append(callbacks, s.callbackFor(b, grafana(1900), "alice"))
			if _, n := s.held(b); n >= 8<<10 {
				t.Fatalf("after %d tabs the cookies have %d bytes", len(callbacks), n)
			}
		}
		before := s.plugin.Log.Len()
		for i := len(callbacks) - 1; i >= 0; i-- {
			want := "/"
			if i >= len(callbacks)-2 {
				want = escaped(grafana(1900))
			}
			if got := s.comeBack(b, callbacks[i]).Header.Get("Location"); got != want {
				t.Errorf("tab %d leads to %q", i, got)
			}
		}
		if n := s.startPages(before, "the cookie with the page's address"); n != len(callbacks)-2 {
			t.Errorf("%d lines", n)
		}
		s.sees(b.Open(s.url + "/x"))
	})

	t.Run("L30 B6 many tabs at once", func(t *testing.T) {
		s := whole.in(t)
		b := s.browser()
		var done sync.WaitGroup
		for range 20 {
			done.Add(1)
			go func() {
				defer done.Done()
				p := s.raw("GET "+grafana(1900)+" HTTP/1.1", "Host: "+appHost, "Accept: text/html", "Connection: close")
				b.Jar.Store(s.home(), p.Header)
			}()
		}
		done.Wait()
		if names, n := s.held(b); n >= 8<<10 || len(names) != 2 {
			t.Errorf("the cookies have %d bytes, %v", n, names)
		}
		if got := s.comeBack(b, s.callbackFor(b, grafana(1900), "alice")).Header.Get("Location"); got != escaped(grafana(1900)) {
			t.Errorf("the next tab leads to %q", got)
		}
	})

	t.Run("L31 a target that is none, in the cookie", func(t *testing.T) {
		s := whole.in(t)
		for _, target := range []string{"/%5Cevil.test/", `/\evil.test/`, "/.//evil.test/", "https://evil.test/", "javascript:alert(1)//", "/\r\nX: y"} {
			before := s.plugin.Log.Len()
			b := s.browser()
			callback := s.sealedTarget(b, whole.t.Name(), target+strings.Repeat("x", 1500))
			if names, _ := s.held(b); len(names) != 1 {
				t.Fatalf("cookies %v", names)
			}
			if got := s.comeBack(b, callback).Header.Get("Location"); got != "/" {
				t.Errorf("%q leads to %q", target, got)
			}
			if n := s.startPages(before, "not a page of this site"); n != 1 {
				t.Errorf("%d lines: %s", n, s.plugin.Log.Since(before))
			}
		}
	})
}

// sealedTarget returns the callback of a sign-in of the site's middleware of that name. It
// is made with its key, and leads to a target that no request names.
func (s *site) sealedTarget(b *browser.Browser, name, target string) *url.URL {
	s.t.Helper()
	keys, err := session.NewKeyring([][]byte{[]byte(key)})
	if err != nil {
		s.t.Fatal(err)
	}
	l := &session.Logins{
		Keys: keys, Identity: s.provider.URL() + "\nclient\n" + name, Cookies: session.Cookies{Name: cookie, Secure: true},
		Now: s.plugin.Clock.Now,
	}
	g, err := l.Start(nil, target, 0, session.AnyAccount)
	if err != nil {
		s.t.Fatal(err)
	}
	set, err := l.Set(g, &http.Request{Header: http.Header{}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range set {
		b.Jar.Set(s.home(), c.Name, c.Value)
	}
	to := s.browser().Hop(s.url + "/").Location()
	challenge := sha256.Sum256([]byte(g.Verifier))
	q := to.Query()
	q.Set("state", g.State)
	q.Set("nonce", g.Nonce)
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
	to.RawQuery = q.Encode()
	if !strings.HasPrefix(to.String(), s.provider.Endpoint(oidctest.Authorize)) {
		s.t.Fatalf("not sent to the provider but to %s", to)
	}
	callback, err := s.provider.Visit(to.String(), "alice")
	if err != nil {
		s.t.Fatal(err)
	}
	return callback
}

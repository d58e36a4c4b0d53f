package interpreted

import (
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// A reloadBudget is the number of allocations of New for a router of a middleware that
// exists, with the same configuration. Traefik decodes a Config for each router, and
// calls New again for all routers at each change of anything.
type reloadBudget struct {
	router     int // one more of the same generation
	generation int // the first of another generation
}

// reloadBudgets are by the version of Go, as budgets are.
var reloadBudgets = map[string]reloadBudget{
	// A handler may be a part of several: one call more.
	"go1.26": {router: 513, generation: 1016},
}

// TestBudgetOfAReload counts without the race detector, as TestBudget does.
func TestBudgetOfAReload(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates on its own")
	}
	version := regexp.MustCompile(`^go1\.\d+`).FindString(runtime.Version())
	s := newSite(t, setup{})
	options := optionsFor(s.provider)
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	const runs = 20
	var routers []*loader.Middleware // one for each call, because Traefik decodes one for each router
	one := func(ctx context.Context) {
		m := routers[0]
		routers = routers[1:]
		if _, err := m.Handler(ctx, next); err != nil {
			t.Error(err)
		}
	}
	least := func(f func()) int {
		n := -1
		for range 5 {
			routers = decoded(t, s.plugin, t.Name(), options, runs+1)
			if have := int(testing.AllocsPerRun(runs, f)); n < 0 || have < n {
				n = have
			}
		}
		return n
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	routers = decoded(t, s.plugin, t.Name(), options, 1)
	one(ctx)
	have := reloadBudget{
		router: least(func() { one(ctx) }),
		generation: least(func() {
			ctx, cancel := context.WithCancel(context.Background())
			t.Cleanup(cancel)
			one(ctx)
		}),
	}
	t.Logf("%q: %+v", version, have)
	recorded, known := reloadBudgets[version]
	if !known {
		t.Skipf("no budget is recorded for %s; add %+v", version, have)
	}
	for _, row := range []struct {
		name       string
		have, most int
	}{
		{"one more router", have.router, recorded.router},
		{"the first router of a generation", have.generation, recorded.generation},
	} {
		if 100*row.have > (100+slack)*row.most {
			t.Errorf("%s allocates %d times; the budget of %s is %d: make it cheaper, or record the new number and say why", row.name, row.have, version, row.most)
		}
	}
}

// decoded returns the middlewares of n routers.
func decoded(t *testing.T, p *loader.Plugin, name string, options map[string]any, n int) []*loader.Middleware {
	t.Helper()
	var all []*loader.Middleware
	for range n {
		m, err := p.Middleware(name, options)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// TestManyRouters has generations of routers of two middlewares with one content.
func TestManyRouters(t *testing.T) {
	s := newSite(t, setup{})
	secret := filepath.Join(t.TempDir(), "secret")
	options := optionsFor(s.provider)
	options["clientSecret"] = "file:" + secret
	options["allowedUsers"] = "alice@example.com,bob@example.com"
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// generation returns the first and the last of many routers of each middleware.
	generation := func(ctx context.Context) (all []http.Handler) {
		t.Helper()
		for _, name := range []string{t.Name() + " a", t.Name() + " b"} {
			for n, m := range decoded(t, s.plugin, name, options, 12) {
				h, err := m.Handler(ctx, s.echo)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 || n == 11 {
					all = append(all, h)
				}
			}
		}
		return all
	}
	ready := func(from int) int { return strings.Count(s.plugin.Log.Since(from), "middleware ready") }
	reaches := func(b *browser.Browser, h http.Handler, want bool) {
		t.Helper()
		s.server.Config.Handler = s.entry(t, h)
		if p := b.Hop(s.url + "/x"); (p.Status == http.StatusOK) != want {
			t.Errorf("status %d", p.Status)
		}
	}

	put("secret")
	before := s.plugin.Log.Len()
	ctx, cancel := context.WithCancel(context.Background())
	first := generation(ctx)
	s.server.Config.Handler = s.entry(t, first[0])
	b := s.signedIn("alice")
	for n := range 3 {
		cancel()
		ctx, cancel = context.WithCancel(context.Background())
		all := generation(ctx)
		reaches(b, all[0], true)
		reaches(b, all[1], true)
		if n == 2 {
			reaches(b, all[2], false) // this removes the cookie
		}
	}
	if n := ready(before); n != 2 {
		t.Errorf("%d middlewares were made of two", n)
	}

	put("other")
	for range 2 {
		cancel()
		ctx, cancel = context.WithCancel(context.Background())
		all := generation(ctx)
		s.server.Config.Handler = s.entry(t, all[1])
		b := s.browser()
		s.comeBack(b, s.callbackFor(b, "/", "alice"))
		if sent := s.provider.Last(oidctest.Token); sent.Header.Get("Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("client:other")) {
			t.Errorf("the provider got another secret: %v", sent.Header)
		}
	}
	cancel()
	if n := ready(before); n != 4 {
		t.Errorf("%d middlewares were made of two with one change of a secret", n)
	}
}

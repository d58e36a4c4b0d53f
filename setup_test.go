package traefikoidc

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// alone reports whether the test is in a process of its own, with a registry that
// releases resources at once. If it is not, one is started for it. The registry
// cannot be replaced here, because the stores of other tests still use it.
func alone(t *testing.T) bool {
	t.Helper()
	const variable = "TRAEFIKOIDC_TEST_ALONE"
	if os.Getenv(variable) == t.Name() {
		registry.Shared = registry.New(time.Millisecond)
		return true
	}
	own := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	own.Env = append(os.Environ(), variable+"="+t.Name())
	said, err := own.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, said)
	}
	return false
}

// written returns a function that makes a Config with the same content at each call, as
// Traefik does for each router.
func written(t *testing.T) func(change func(c *Config)) *Config {
	secret, key := oidctest.NewSecret(), oidctest.NewSecret()
	// A background task may write a line, and so make the file again, while the directory
	// is removed. A TempDir would fail the test then.
	dir, err := os.MkdirTemp("", "traefikoidc-log-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	logs := filepath.Join(dir, "oidc.log")
	return func(change func(c *Config)) *Config {
		c := CreateConfig()
		c.ProviderURL = "https://id.example.com"
		c.ClientID = "app"
		c.ClientSecret = secret
		c.SessionEncryptionKey = key
		c.CallbackURL = "/oauth2/callback"
		c.LogFile = logs
		c.AuthorizationParams = map[string]any{"a": "1", "b": 2}
		c.AllowedUsers = []string{"alice@example.com", "bob@example.com"}
		// No provider is requested.
		c.AuthorizationURL = c.ProviderURL + "/authorize"
		c.TokenURL = c.ProviderURL + "/token"
		c.JwksURL = c.ProviderURL + "/jwks"
		if change != nil {
			change(c)
		}
		return c
	}
}

// latest returns the record of the middleware of that name, after one more New.
func latest(ctx context.Context, t *testing.T, c *Config, name string) *made {
	t.Helper()
	if _, err := New(ctx, http.NotFoundHandler(), c, name); err != nil {
		t.Fatal(err)
	}
	m, _ := registry.Shared.Kept(setupKey(name)).(*setup).get()
	return m
}

// settingsOf returns the settings of a content.
func settingsOf(m *made) any {
	return registry.Shared.Kept("settings " + m.digest).(*reading).settings
}

func TestTheSameContentIsParsedAndBuiltOnce(t *testing.T) {
	if !alone(t) {
		return
	}
	config := written(t)
	ctx, cancel := context.WithCancel(context.Background())
	first := latest(ctx, t, config(nil), "a")
	for i := 0; i < 3; i++ {
		if latest(ctx, t, config(nil), "a") != first {
			t.Error("another router made another middleware")
		}
	}
	parsed := settingsOf(first)
	other := latest(ctx, t, config(nil), "b")
	if other.middleware == first.middleware {
		t.Error("two names have one middleware")
	}
	if settingsOf(other) != parsed {
		t.Error("the same content was parsed twice")
	}

	held := map[string]bool{}
	for _, key := range first.keys {
		held[key] = true
	}
	for _, key := range []string{setupKey("a"), first.storeKey, "settings " + first.digest} {
		if !held[key] {
			t.Errorf("the next generation would not hold %.20q", key)
		}
	}

	// The next generation comes after the contexts of the one before are done, and
	// before any resource is released.
	next, end := context.WithCancel(context.Background())
	defer end()
	if latest(next, t, config(nil), "a") != first {
		t.Error("a reload made another middleware")
	}
	cancel()
	eventually.True(t, "the setup of b is not kept", func() bool { return registry.Shared.Kept(setupKey("b")) == nil })
	for _, key := range first.keys {
		if registry.Shared.Kept(key) == nil {
			t.Errorf("%.20q is let go of while the next generation uses it", key)
		}
	}
}

func TestAnotherContentIsAnotherMiddleware(t *testing.T) {
	if !alone(t) {
		return
	}
	config := written(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	before := latest(ctx, t, config(nil), "a")
	for name, change := range map[string]func(c *Config){
		"a text":           func(c *Config) { c.LogoutURL = "/bye" },
		"a number":         func(c *Config) { c.RateLimit++ },
		"a boolean":        func(c *Config) { c.EnablePKCE = !c.EnablePKCE },
		"an element":       func(c *Config) { c.AllowedUsers[1] = "carol@example.com" },
		"one element more": func(c *Config) { c.AllowedUsers = append(c.AllowedUsers, "carol@example.com") },
		"a value of a map": func(c *Config) { c.AuthorizationParams["a"] = "2" },
		"a type":           func(c *Config) { c.AuthorizationParams["a"] = 1.0 },
		"a section":        func(c *Config) { c.Redis.L1TTL = "2s" },
		"bytes of no text": func(c *Config) { c.ClientSecret = c.ClientSecret.(string) + "\xff" },
		"other such bytes": func(c *Config) { c.ClientSecret = c.ClientSecret.(string) + "\xfe" },
	} {
		now := latest(ctx, t, config(change), "a")
		if now == before {
			t.Errorf("%s: the middleware is as before", name)
		}
		before = now
	}
	if latest(ctx, t, config(nil), "a") == before {
		t.Error("what was at first: the middleware is as before")
	}
	c := config(func(c *Config) { c.LogoutURL = "/one" })
	before = latest(ctx, t, c, "a")
	if before.config != c {
		t.Fatal("the middleware was made of another Config")
	}
	c.LogoutURL = "/two"
	if latest(ctx, t, c, "a") == before {
		t.Error("a Config that was changed: the middleware is as before")
	}
}

func TestFilesAndVariablesAreReadAgain(t *testing.T) {
	if !alone(t) {
		return
	}
	config := written(t)
	dir := t.TempDir()
	secret, page := filepath.Join(dir, "secret"), filepath.Join(dir, "page.html")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(secret, oidctest.NewSecret())
	put(page, "<p>one</p>")
	t.Setenv("CLIENT_ID", "app")
	refers := func(c *Config) {
		c.ClientSecret = "file:" + secret
		c.ErrorTemplate = page
		c.ClientID = "${CLIENT_ID}"
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	before := latest(ctx, t, config(refers), "a")
	for _, row := range []struct {
		name   string
		change func()
	}{
		{"a secret", func() { put(secret, oidctest.NewSecret()) }},
		{"a page of the same length", func() { put(page, "<p>two</p>") }},
		{"a variable", func() { t.Setenv("CLIENT_ID", "other") }},
	} {
		if latest(ctx, t, config(refers), "a") != before {
			t.Errorf("%s: another middleware before anything changed", row.name)
		}
		row.change()
		now := latest(ctx, t, config(refers), "a")
		if now == before || settingsOf(now) == nil {
			t.Errorf("%s: the middleware is as before", row.name)
		}
		before = now
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 2; i++ {
		if _, err := New(ctx, http.NotFoundHandler(), config(refers), "a"); err == nil || !strings.Contains(err.Error(), "clientSecret: the file") {
			t.Errorf("without the file of the secret: %v", err)
		}
	}
	put(secret, oidctest.NewSecret())
	if latest(ctx, t, config(refers), "a") == before {
		t.Error("another secret: the middleware is as before")
	}
}

// Each reload has another content, and one that is refused comes in between.
func TestNothingIsLeftOfManyReloads(t *testing.T) {
	if !alone(t) {
		return
	}
	config := written(t)
	cancel := func() {}
	for n := 0; n < 100; n++ {
		cancel()
		var ctx context.Context
		ctx, cancel = context.WithCancel(context.Background())
		for _, name := range []string{"a", "b", "c" + strconv.Itoa(n)} {
			latest(ctx, t, config(func(c *Config) { c.LogoutURL = "/bye/" + strconv.Itoa(n) }), name)
		}
		if _, err := New(ctx, http.NotFoundHandler(), config(func(c *Config) { c.LogoutURL = strconv.Itoa(n) }), "a"); err == nil {
			t.Fatal("no error")
		}
	}
	cancel()
	const lasting = 1 // the names that the middlewares of the process share
	eventually.True(t, "no other resource is left", func() bool { return registry.Shared.Len() == lasting })
}

// A middleware is not found again if a resource that it uses was released, or if
// another store served it when it was built.
func TestAMiddlewareIsFoundAgainOnlyAsItWas(t *testing.T) {
	if !alone(t) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m := latest(ctx, t, written(t)(nil), "a")
	found := func(want bool, what string) {
		t.Helper()
		if m.again(ctx, "a") != want {
			t.Errorf("%s: found again is %v", what, !want)
		}
	}
	found(true, "as it was")

	elsewhere := slog.New(slog.NewTextHandler(os.Stderr, nil))
	m.store.logTo(elsewhere)
	before := m.store.line()
	if found(true, "with another log"); m.store.line() == before {
		t.Error("the store goes on to log for another middleware")
	}

	keys := m.keys
	m.keys = append([]string{"no resource"}, keys...)
	found(false, "a resource is gone")
	m.keys = keys

	m.served = "the store before"
	found(false, "another store served it, and serves no more")
	if _, err := registry.Shared.Acquire(ctx, "the store before", &setupBuilder{}); err != nil {
		t.Fatal(err)
	}
	registry.Shared.Succeed(groupOf("a"), "the store before")
	registry.Shared.Serve(groupOf("a"), "the store before")
	_, m.turn = registry.Shared.Succeed(groupOf("a"), m.storeKey)
	found(true, "that store serves it still")
	m.turn--
	found(false, "that store served, then another one, and serves again")
}

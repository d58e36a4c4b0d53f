package traefikoidc

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// A check that is in progress when its provider is no longer used ends without a line.
func TestTheProviderCheckEndsWithItsProvider(t *testing.T) {
	hold := make(chan struct{})
	op := oidctest.New(oidctest.Options{HoldDiscovery: hold})
	defer op.Close()
	defer close(hold)
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	c := &providerCheck{
		provider: oidc.NewProvider(oidc.Options{Issuer: op.URL(), ClientID: "client", AllowInsecureHTTP: true, HTTPClient: op.Client()}),
		done:     ctx, log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	ended := make(chan bool)
	go func() {
		c.Run()
		close(ended)
	}()
	cancel()
	<-ended
	if log.Len() > 0 {
		t.Errorf("the log says %q", log.String())
	}
}

// discovering returns a function that makes the Config of a middleware with the provider
// op.
func discovering(t *testing.T, op *oidctest.Provider) func() *Config {
	config := written(t)
	return func() *Config {
		return config(func(c *Config) {
			c.ProviderURL, c.AllowPrivateIPAddresses = op.URL(), true
			c.AuthorizationURL, c.TokenURL, c.JwksURL = "", "", ""
		})
	}
}

func TestReloadsRequestDiscoveryOnce(t *testing.T) {
	if !alone(t) {
		return
	}
	registry.Shared = registry.New(time.Hour)
	op := oidctest.New(oidctest.Options{})
	defer op.Close()
	op.Set(func(b *oidctest.Behaviour) { b.Faults[oidctest.Discovery] = oidctest.Fault{Status: 503} })
	config := discovering(t, op)
	end := func() {}
	for generation := 0; generation < 40; generation++ {
		end() // Traefik ends the contexts of one generation before it builds the next.
		var ctx context.Context
		ctx, end = context.WithCancel(context.Background())
		for router := 0; router < 20; router++ {
			latest(ctx, t, config(), "middleware "+strconv.Itoa(router%5))
		}
	}
	end()
	eventually.True(t, "discovery is requested", func() bool { return op.Count(oidctest.Discovery) > 0 })
	if n := op.Count(oidctest.Discovery); n != 1 {
		t.Errorf("%d requests for discovery, want 1", n)
	}
}

func TestAPluginThatIsNeverUsedLeavesNoGoroutine(t *testing.T) {
	if !alone(t) {
		return
	}
	hold := make(chan struct{})
	op := oidctest.New(oidctest.Options{HoldDiscovery: hold})
	defer op.Close()
	config := discovering(t, op)
	before := runtime.NumGoroutine()
	for i := 0; i < 10; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		m := latest(ctx, t, config(), "a")
		cancel()
		for _, key := range m.keys {
			key := key
			eventually.True(t, key+" is not kept", func() bool { return registry.Shared.Kept(key) == nil })
		}
	}
	close(hold)
	awaitStacks(t, "goroutines are left", func(string) bool { return runtime.NumGoroutine() <= before })
}

// The check of a provider that is closed ends without a line, for every later response
// of the provider.
func TestAClosedProviderEndsItsCheck(t *testing.T) {
	hold := make(chan struct{})
	op := oidctest.New(oidctest.Options{HoldDiscovery: hold})
	defer op.Close()
	s, err := config.Parse(discovering(t, op)(), config.System())
	if err != nil {
		t.Fatal(err)
	}
	p := &paper{}
	shared, err := (&providerBuilder{s: s, log: slog.New(slog.NewTextHandler(p, nil))}).Build()
	if err != nil {
		t.Fatal(err)
	}
	shared.Close()
	close(hold)
	awaitStacks(t, "a check goes on", func(stacks string) bool { return !strings.Contains(stacks, "providerCheck") })
	if text := p.taken(); text != "" {
		t.Errorf("the log says %q", text)
	}
}

// awaitStacks waits until good accepts the stacks of all goroutines.
func awaitStacks(t *testing.T, problem string, good func(stacks string) bool) {
	t.Helper()
	text := make([]byte, 1<<20)
	stacks := ""
	if !eventually.Within(eventually.Limit, func() bool {
		stacks = string(text[:runtime.Stack(text, true)])
		return good(stacks)
	}) {
		t.Fatalf("%s:\n%s", problem, stacks)
	}
}

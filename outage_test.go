package traefikoidc

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/registry"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// The log repeats that Redis does not serve, with the reason and the effect.
func TestTheLogSaysThatAnOutageLasts(t *testing.T) {
	server := resptest.Start(t)
	server.Require("default", "right")
	p := &paper{}
	s := &config.Settings{Redis: config.Redis{
		Enabled: true, Mode: "hybrid", Network: "tcp", Addresses: []string{server.Addr()}, Password: "wrong", KeyPrefix: "x", Breaker: true,
		BreakerThreshold: 1, BreakerTimeout: time.Second, PoolSize: 4, L1Entries: 10, L1Bytes: 1 << 20, L1TTL: time.Second,
		DialTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		PoolTimeout: 30 * time.Second, OperationTimeout: 30 * time.Second,
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := registry.Shared.Acquire(ctx, t.Name(), &storeBuilder{s: s, key: t.Name(), log: slog.New(slog.NewTextHandler(p, nil))})
	if err != nil {
		t.Fatal(err)
	}
	st := r.(*store)
	log := ""
	await := func(text string) {
		t.Helper()
		if !eventually.Within(eventually.Limit, func() bool { log += p.taken(); return strings.Contains(log, text) }) {
			t.Fatalf("the log does not say %q: %s", text, log)
		}
	}
	await("sessions are NOT shared")
	reminder := &reminder{s: st}
	for i := 0; i < 3; i++ {
		st.mu.Lock()
		comes := st.reminded
		st.mu.Unlock()
		if !comes {
			t.Error("no reminder will come")
		}
		p.taken()
		reminder.Run()
		text := p.taken()
		for _, want := range []string{"still does not serve", "sessions are NOT shared", "WRONGPASS", "address=" + server.Addr(), "redis.tls"} {
			if strings.Count(text, want) != 1 {
				t.Errorf("%s is not said once: %s", want, text)
			}
		}
	}
	server.Require("default", "wrong")
	await("Redis connection restored")
	reminder.Run()
	if text := p.taken(); strings.Contains(text, "NOT shared") {
		t.Errorf("after the outage the log says %s", text)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.reminded {
		t.Error("a reminder will come after the outage")
	}
}

// A server that refuses every connection has one line with the reason and the options,
// for every text of the refusal. The store does not report it as well and unwell in
// turn.
func TestARefusedHandshakeIsSaidOnce(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*config.Redis)
		want   string
	}{
		{"no such database", func(r *config.Redis) { r.DB = 99 }, "SELECT 99"},
		{"a password where none is wanted", func(r *config.Redis) { r.Password = "any" }, "authentication"},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := resptest.Start(t)
			p := &paper{}
			s := &config.Settings{Redis: config.Redis{
				Enabled: true, Mode: "hybrid", Network: "tcp", Addresses: []string{server.Addr()}, KeyPrefix: "x", Breaker: true,
				BreakerThreshold: 1, BreakerTimeout: time.Millisecond, PoolSize: 4, L1Entries: 10, L1Bytes: 1 << 20, L1TTL: time.Second,
				DialTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
				PoolTimeout: 30 * time.Second, OperationTimeout: 30 * time.Second,
			}}
			row.change(&s.Redis)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r, err := registry.Shared.Acquire(ctx, t.Name(), &storeBuilder{s: s, key: t.Name(), log: slog.New(slog.NewTextHandler(p, nil))})
			if err != nil {
				t.Fatal(err)
			}
			handshakes := func() int {
				n := 0
				for _, args := range server.Commands() {
					if args[0] == "HELLO" {
						n++
					}
				}
				return n
			}
			log := ""
			if !eventually.Within(eventually.Limit, func() bool {
				_ = r.(*store).backend.Health(ctx)
				log += p.taken()
				return strings.Contains(log, "NOT shared") && handshakes() >= 4
			}) {
				t.Fatalf("after %d handshakes the log says %q", handshakes(), log)
			}
			if n := strings.Count(log, "Circuit breaker opened"); n != 1 {
				t.Errorf("said %d times: %s", n, log)
			}
			for _, want := range []string{row.want, "redis.db", "redis.password", "server refused for good"} {
				if !strings.Contains(log, want) {
					t.Errorf("%q is not in the log: %s", want, log)
				}
			}
		})
	}
}

package cache_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
)

func TestJ1RedisDownAtStart(t *testing.T) {
	s := startServer(t)
	s.Kill()
	a := newReplica(t, s, "x", nil)
	a.untilFallback()
	if err := a.put("s:k", live(1)); !errors.Is(err, cache.ErrJournalled) {
		t.Fatalf("a sign-in during the outage: %v", err)
	}
	a.is("s:k", "1")
	a.is("s:unknown", "unavailable")
	s.Start()
	a.untilRestored()
	a.is("s:k", "1")
	a.is("s:unknown", "miss")
	if !s.has("x:s:k") {
		t.Error("the journal was not sent")
	}
	for _, e := range []hybrid.Event{hybrid.Connected, hybrid.BreakerOpened, hybrid.FellBack, hybrid.Restored} {
		if a.log.count(e) != 1 {
			t.Errorf("%q reported %d times: %s", e.Text(), a.log.count(e), a.log.text())
		}
	}
}

// outages are ways in which Redis goes away and comes back with its data.
var outages = []struct {
	name  string
	cause error
	begin func(s *server)
	end   func(s *server)
}{
	{"killed", resp.ErrNotSent, (*server).Kill, func(s *server) { s.Start() }},
	{"stopped", nil, func(s *server) { s.Signal(syscall.SIGSTOP) }, func(s *server) { s.Signal(syscall.SIGCONT) }},
	{"WRONGPASS", resp.ErrWrongPass, func(s *server) {
		s.Do("ACL", "SETUSER", "app", "resetpass", ">other")
		s.Do("CLIENT", "KILL", "USER", "app")
	}, func(s *server) {
		s.Do("ACL", "SETUSER", "app", "resetpass", ">secret")
	}},
}

func startApp(t *testing.T) (*server, func(o *hybrid.Options)) {
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always", "--user", "app", "on", ">secret", "~*", "&*", "+@all")
	return s, func(o *hybrid.Options) {
		o.Redis.Server.Username, o.Redis.Server.Password = "app", "secret"
		o.Redis.Breaker.DeniedPause = 100 * time.Millisecond
	}
}

func TestJ1AnOutageSignsNoUserOut(t *testing.T) {
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			ctx := context.Background()
			s, app := startApp(t)
			a, b := startReplica(t, s, "x", app), startReplica(t, s, "x", app)
			ok(t, a.put("s:known", live(1)))
			ok(t, a.put("s:refreshed", live(1)))
			ok(t, a.put("s:ended", live(1)))
			ok(t, b.put("s:elsewhere", live(1)))
			for _, k := range []string{"s:known", "s:refreshed", "s:ended"} {
				b.becomes(k, "1")
			}
			outage.begin(s)
			a.untilFallback()
			b.untilFallback()

			a.is("s:known", "1")
			a.is("s:elsewhere", "unavailable")
			journalled(t, a.put("s:ended", revoked()))
			a.is("s:ended", "revoked")
			journalled(t, a.CompareAndSet(ctx, "s:refreshed", 1, live(2), time.Hour))
			a.is("s:refreshed", "2")
			journalled(t, a.Add(ctx, "s:new", live(1), time.Hour))
			journalled(t, a.Add(ctx, "j:code", []byte("a"), time.Hour))
			if err := a.Add(ctx, "j:code", []byte("again"), time.Hour); !errors.Is(err, cache.ErrExists) {
				t.Errorf("used twice: %v", err)
			}
			if err := a.Add(ctx, "l:lease", []byte("me"), time.Hour); !errors.Is(err, cache.ErrUnavailable) {
				t.Errorf("a lease: %v", err)
			}
			journalled(t, b.Add(ctx, "j:code", []byte("b"), time.Hour))

			if cause := a.log.cause(hybrid.BreakerOpened); cause == nil || outage.cause != nil && !errors.Is(cause, outage.cause) {
				t.Errorf("reported the cause %v, want %v", cause, outage.cause)
			}
			outage.end(s)
			a.untilRestored()
			b.untilRestored()
			for _, r := range []*replica{a, b} {
				r.becomes("s:known", "1")
				r.becomes("s:ended", "revoked")
				r.becomes("s:refreshed", "2")
				r.becomes("s:new", "1")
				r.becomes("s:elsewhere", "1")
			}
			if n := a.log.count(hybrid.ReplayFound) + b.log.count(hybrid.ReplayFound); n != 1 {
				t.Errorf("the replay was reported %d times", n)
			}
		})
	}
}

func journalled(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, cache.ErrJournalled) || !cache.Applied(err) {
		t.Fatalf("error %v, want that it was journalled", err)
	}
}

func TestAStallDelaysFew(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", func(o *hybrid.Options) { o.Redis.Server.OperationTimeout = 500 * time.Millisecond })
	s.Signal(syscall.SIGSTOP)
	delayed := 0
	for !a.Stats().Fallback {
		a.is("s:k", "unavailable")
		delayed++
	}
	if delayed > 5 {
		t.Errorf("%d reads were delayed", delayed)
	}
	s.Signal(syscall.SIGCONT)
	a.untilRestored()
}

func TestARestartWithoutDataIsNoSignOut(t *testing.T) {
	s := startServer(t)
	a, b := startReplica(t, s, "x", nil), startReplica(t, s, "x", nil)
	ok(t, a.put("s:a", live(3)))
	ok(t, b.put("s:b", live(1)))
	ok(t, a.put("s:ended", live(1)))
	b.becomes("s:ended", "1")
	ok(t, a.put("s:ended", revoked()))
	b.becomes("s:ended", "revoked")
	ok(t, a.Add(context.Background(), "j:used", []byte("a"), time.Hour))
	s.Kill()
	s.Start()
	for _, r := range []*replica{a, b} {
		r.until("loss noticed", func(hybrid.Stats) bool { return r.log.count(hybrid.DataLost) == 1 })
		r.untilRestored()
	}
	a.becomes("s:b", "1")
	b.becomes("s:a", "3")
	a.is("s:ended", "revoked")
	b.is("s:ended", "revoked")
	for _, k := range []string{"x:s:a", "x:s:b", "x:s:ended", "x:j:used"} {
		if !s.has(k) {
			t.Errorf("%s was not restored", k)
		}
	}
}

func TestNoUserIsSignedOutWhileALossIsChecked(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ok(t, a.put("s:k", live(1)))
	for i := 0; i < 3; i++ {
		s.Kill()
		s.Start()
		a.until("loss noticed", func(hybrid.Stats) bool {
			a.is("s:k", "1")
			if err := a.CompareAndSet(context.Background(), "s:k", 1, live(2), time.Hour); errors.Is(err, cache.ErrMiss) {
				t.Fatal("a token refresh got that the session is gone")
			} else if cache.Applied(err) {
				ok(t, a.Delete(context.Background(), "s:k"))
				_ = a.Add(context.Background(), "s:k", live(1), time.Hour)
			}
			return a.log.count(hybrid.DataLost) > i
		})
		a.untilRestored()
	}
}

func TestJ2FlushallSignsAllUsersOut(t *testing.T) {
	s := startServer(t)
	a, b := startReplica(t, s, "x", nil), startReplica(t, s, "x", nil)
	ok(t, a.put("s:a", live(1)))
	ok(t, b.put("s:b", live(1)))
	s.Do("FLUSHALL")
	a.becomes("s:a", "miss")
	b.becomes("s:b", "miss")
	a.is("s:b", "miss")
	ok(t, a.put("s:c", live(1)))
	b.becomes("s:c", "1")
	if a.log.count(hybrid.DataLost)+b.log.count(hybrid.DataLost) != 0 {
		t.Error("taken for a loss of data")
	}
}

func TestAFlushWhileTheLinkIsDownSignsAllUsersOut(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ok(t, a.put("s:a", live(1)))
	s.Do("CLIENT", "KILL", "TYPE", "normal")
	s.Do("FLUSHALL")
	a.becomes("s:a", "miss")
	a.untilRestored()
	a.is("s:a", "miss")
}

func TestAnEvictedDataSetIdSignsNoUserOut(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ok(t, a.put("s:a", live(1)))
	s.Do("DEL", "x:epoch")
	s.Do("CLIENT", "KILL", "TYPE", "normal")
	a.untilRestored()
	for i := 0; i < 100; i++ {
		a.is("s:a", "1")
	}
}

func TestJ10AnEvictingServerIsReported(t *testing.T) {
	for _, c := range []struct {
		args     []string
		reported int
	}{
		{nil, 0},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, 0},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, 1},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"}, 1},
		{[]string{"--maxmemory-policy", "allkeys-lru"}, 0},
	} {
		a := startReplica(t, startServer(t, c.args...), "x", nil)
		a.untilRestored()
		if got := a.log.count(hybrid.MayEvict); got != c.reported {
			t.Errorf("%q: reported %d times", c.args, got)
		}
	}
}

func TestAServerThatRefusesWritesServesReads(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ok(t, a.put("s:k", live(1)))
	ok(t, a.put("s:ended", live(1)))
	s.Do("CONFIG", "SET", "maxmemory", "1")
	for i := 0; i < 20; i++ {
		journalled(t, a.put("s:ended", revoked()))
		a.is("s:k", "1")
		a.is("s:none", "miss")
	}
	if a.Stats().Fallback {
		t.Error("taken for an outage")
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	a.untilRestored()
	if got := s.Do("GET", "x:s:ended").Str; describe(got, nil) != "revoked" {
		t.Errorf("stored %q", got)
	}
}

func TestAReplicaThatLaggedUndoesNothing(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	older := live(1)
	ok(t, a.put("s:k", older))
	ok(t, a.put("s:ended", older))
	ok(t, a.put("s:k", live(2)))
	ok(t, a.put("s:ended", revoked()))
	// A failover to a replica that had not received the last writes does the same.
	s.Do("SET", "x:s:k", string(older), "PX", "100000")
	s.Do("SET", "x:s:ended", string(older), "PX", "100000")
	a.is("s:ended", "revoked")
	a.becomes("s:k", "2")
	eventually.True(t, "both are repaired", func() bool {
		a.is("s:ended", "revoked")
		a.is("s:k", "2")
		return describe(s.Do("GET", "x:s:k").Str, nil) == "2" && describe(s.Do("GET", "x:s:ended").Str, nil) == "revoked"
	})
}

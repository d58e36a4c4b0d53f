package cache_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

func TestChangesByOneReplicaReachTheOther(t *testing.T) {
	s := startServer(t)
	a, b := startReplica(t, s, "x", nil), startReplica(t, s, "x", nil)
	ok(t, a.put("s:k", live(1)))
	b.becomes("s:k", "1")
	ok(t, a.CompareAndSet(context.Background(), "s:k", 1, live(2), time.Hour))
	b.becomes("s:k", "2")
	ok(t, a.put("s:k", revoked()))
	b.becomes("s:k", "revoked")
	ok(t, a.put("s:other", live(1)))
	b.becomes("s:other", "1")
	s.Do("DEL", "x:s:other") // an operator ends a session
	a.becomes("s:other", "miss")
	b.becomes("s:other", "miss")
}

func TestReplicasPublishChangesWhereTrackingIsRefused(t *testing.T) {
	s := startServer(t)
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client|tracking")
	refused := func(o *hybrid.Options) {
		o.Redis.Server.Username, o.Redis.Server.Password = "app", "secret"
		o.L1TTL = time.Hour
	}
	a, b := newReplica(t, s, "x", refused), newReplica(t, s, "x", refused)
	eventually.True(t, "both listen", func() bool {
		return len(s.Do("PUBSUB", "NUMSUB", "x:changes").Elems) == 2 && s.Do("PUBSUB", "NUMSUB", "x:changes").Elems[1].Int == 2
	})
	ok(t, a.put("s:k", live(1)))
	b.becomes("s:k", "1")
	ok(t, a.put("s:k", revoked()))
	b.becomes("s:k", "revoked")
}

func TestASettledKeyCostsNoCommand(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ok(t, a.put("s:k", live(1)))
	// Redis's own report of the write makes the entry stale at most once.
	a.until("settled", func(hybrid.Stats) bool {
		before := a.Stats()
		for i := 0; i < 100; i++ {
			a.is("s:k", "1")
		}
		after := a.Stats()
		return after.Hits-before.Hits == 100
	})
}

func TestConcurrentMissesMakeOneRead(t *testing.T) {
	s := startServer(t)
	ok(t, startReplica(t, s, "x", nil).put("s:k", live(1)))
	b := startReplica(t, s, "x", func(o *hybrid.Options) { // the reads may pile up slowly
		o.Redis.Server.OperationTimeout, o.Redis.Server.ReadTimeout, o.Redis.Server.WriteTimeout = time.Minute, time.Minute, time.Minute
	})
	s.Do("CONFIG", "RESETSTAT")
	s.Signal(syscall.SIGSTOP) // the reads pile up
	results := make(chan string, 64)
	for i := 0; i < 64; i++ {
		go func() { results <- b.state("s:k") }()
	}
	b.until("64 asked", func(x hybrid.Stats) bool { return x.Requests >= 64 })
	s.Signal(syscall.SIGCONT)
	for i := 0; i < 64; i++ {
		if got := <-results; got != "1" {
			t.Fatalf("reader got %s", got)
		}
	}
	calls := -1
	fmt.Sscanf(info(s, "commandstats", "cmdstat_get:calls="), "%d", &calls)
	if calls != 2 { // of the record, and with it of the data-set id
		t.Errorf("%d reads", calls)
	}
}

func info(s *server, section, field string) string {
	s.t.Helper()
	text := string(s.Do("INFO", section).Str)
	for i := 0; i+len(field) <= len(text); i++ {
		if text[i:i+len(field)] == field {
			return text[i+len(field):]
		}
	}
	return ""
}

func TestJ7TwoPrefixesShareAServer(t *testing.T) {
	s := startServer(t)
	a, b := startReplica(t, s, "x", nil), startReplica(t, s, "x[*]", nil)
	ok(t, a.put("s:k", live(1)))
	ok(t, b.put("s:k", live(2)))
	a.is("s:k", "1")
	b.is("s:k", "2")
	ok(t, b.Clear(context.Background()))
	b.is("s:k", "miss")
	a.is("s:k", "1")
	ok(t, b.put("s:k", live(3)))
	ok(t, a.Clear(context.Background()))
	b.is("s:k", "3")
	a.is("s:k", "miss")
}

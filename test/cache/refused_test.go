package cache_test

import (
	"strconv"
	"testing"

	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
)

// processed is the number of commands that the server has processed.
func (s *server) processed() int {
	s.t.Helper()
	n, err := strconv.Atoi(resp.InfoField(s.Do("INFO", "stats"), "total_commands_processed"))
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// pipelines is the number of pipelines that the replica has sent.
func (r *replica) pipelines() int {
	n := 0
	for _, c := range r.Stats().Redis.Commands {
		if c.Command == "pipeline" {
			n += int(c.Count)
		}
	}
	return n
}

// A server that refuses writes gets one of the waiting notes after pauses that grow. The
// log has one line at the begin and one at the end.
func TestRefusedWritesCostLittle(t *testing.T) {
	t.Parallel()
	const notes, tries, most = 300, 3, 100
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ok(t, a.put("s:before", live(1)))
	s.Do("CONFIG", "SET", "maxmemory", "1")
	for i := 0; i < notes; i++ {
		journalled(t, a.put("s:"+strconv.Itoa(i), live(1)))
	}
	a.until("reported", func(hybrid.Stats) bool { return a.log.count(hybrid.WritesRefused) == 1 })
	a.is("s:before", "1")
	// Each try begins with a check of the server's identity, in a pipeline.
	before, asked := s.processed(), a.pipelines()
	a.until("asked again", func(hybrid.Stats) bool { return a.pipelines() >= asked+2*tries })
	if n := s.processed() - before; n >= most {
		t.Errorf("%d commands in a few tries, want fewer than %d", n, most)
	}
	if n := a.log.count(hybrid.WritesRefused) + a.log.count(hybrid.BreakerOpened) + a.log.count(hybrid.FellBack); n != 1 {
		t.Errorf("%d lines, want one; %s", n, a.log.text())
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	a.untilRestored()
	a.until("reported", func(hybrid.Stats) bool { return a.log.count(hybrid.WritesAccepted) == 1 })
	for i := 0; i < notes; i++ {
		if got := s.Do("EXISTS", "x:s:"+strconv.Itoa(i)).Int; got != 1 {
			t.Fatalf("note %d did not arrive", i)
		}
	}
}

// A server that refuses writes from the first contact on is no outage.
func TestAServerThatRefusesAtFirstContact(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.Do("CONFIG", "SET", "maxmemory", "1")
	a := newReplica(t, s, "x", nil)
	a.until("reported", func(hybrid.Stats) bool { return a.log.count(hybrid.WritesRefused) == 1 })
	journalled(t, a.put("s:k", live(1)))
	a.is("s:k", "1")
	if n := a.log.count(hybrid.BreakerOpened); n != 0 {
		t.Errorf("the breaker opened %d times", n)
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	a.untilRestored()
	if a.log.count(hybrid.BreakerOpened)+a.log.count(hybrid.FellBack) != 0 || a.log.count(hybrid.WritesAccepted) != 1 {
		t.Error(a.log.text())
	}
}

// One key that a server refuses does not hold up the others.
func TestARefusedKeyHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
	a := startReplica(t, s, "x", func(o *hybrid.Options) { o.Redis.Server.Username, o.Redis.Server.Password = "app", "secret" })
	s.Do("ACL", "SETUSER", "app", "resetkeys", "~x:epoch", "~x:probe", "~x:s:good*", "~x:i:*", "~x:r:*")
	journalled(t, a.put("s:bad", live(1)))
	a.until("reported", func(hybrid.Stats) bool { return a.log.count(hybrid.WritesRefused) >= 1 })
	ok(t, a.put("s:good", live(1)))
	s.Do("ACL", "SETUSER", "app", "allkeys")
	eventually.True(t, "all arrive", func() bool { return s.Do("EXISTS", "x:s:bad", "x:s:good").Int == 2 })
}

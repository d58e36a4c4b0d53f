package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// comesBackLagging has s start again with the id of its data set and without the latest
// writes, as a promoted replica does.
func (s *server) comesBackLagging() {
	id := s.Do("GET", "x:epoch").Str
	s.Kill()
	s.Start()
	s.Do("SET", "x:epoch", string(id))
	s.allowApp() // the plugin connects from now on
}

func (s *server) allowApp() {
	s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
}

func startOfApp(t *testing.T, s *server) *replica {
	t.Helper()
	s.allowApp()
	return startReplica(t, s, "x", func(o *hybrid.Options) {
		o.Redis.Server.Username, o.Redis.Server.Password = "app", "secret"
	})
}

func TestALagLosesNoWriteOfTheLastSeconds(t *testing.T) {
	s := startServer(t)
	a := startOfApp(t, s)
	ok(t, a.put("s:a", live(1)))
	ok(t, a.put("s:ended", live(1)))
	ok(t, a.put("s:ended", revoked()))
	ok(t, a.Add(context.Background(), "j:used", []byte("a"), time.Hour))
	s.comesBackLagging()
	for _, key := range []string{"x:s:a", "x:s:ended", "x:j:used"} {
		eventually.True(t, key+" is in Redis again", func() bool { return s.has(key) })
	}
	a.is("s:a", "1")
	a.is("s:ended", "revoked")
	if a.log.count(hybrid.DataLost) != 0 {
		t.Error("taken for a loss of data")
	}
}

func TestALagBringsNothingBackThatWasFlushed(t *testing.T) {
	s := startServer(t)
	a := startOfApp(t, s)
	ok(t, a.put("s:a", live(1)))
	s.Do("FLUSHALL")
	a.becomes("s:a", "miss")
	eventually.True(t, "the data set has an id again", func() bool { return s.has("x:epoch") })
	ok(t, a.put("s:later", live(1)))
	s.comesBackLagging()
	eventually.True(t, "the later session is in Redis again", func() bool { return s.has("x:s:later") })
	if s.has("x:s:a") {
		t.Error("a flushed session came back")
	}
}

package replicas

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// A server is a redis-server with the queries of these tests.
type server struct {
	*redistest.Fixture
	t testing.TB
}

// startServer starts a redis-server that ends with the test.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := newServer(t, args...)
	s.Start()
	return s
}

// newServer makes a server without starting it.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	return &server{Fixture: redistest.Prepare(t, redistest.Options{Args: args}), t: t}
}

// keys are the keys of a database that match the pattern.
func (s *server) keys(db int, pattern string) []string {
	s.t.Helper()
	r := s.Do("EVAL", "redis.call('SELECT', ARGV[1]) return redis.call('KEYS', ARGV[2])", "0", strconv.Itoa(db), pattern)
	keys, err := r.Strings()
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}

// sessions returns the number of live sessions under a prefix. Tombstones are not
// included.
func (s *server) sessions(prefix string) int {
	s.t.Helper()
	const script = `local n = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  if string.byte(redis.call('GET', key), 3) == 1 then n = n + 1 end
end
return n`
	return int(s.Do("EVAL", script, "0", prefix+":s:*").Int)
}

// info returns a number of INFO, or zero if there is none.
func (s *server) info(section, field string) int {
	s.t.Helper()
	_, after, _ := strings.Cut(string(s.Do("INFO", section).Str), field)
	n, i := 0, 0
	for ; i < len(after) && after[i] >= '0' && after[i] <= '9'; i++ {
		n = n*10 + int(after[i]-'0')
	}
	return n
}

// calls returns the number of calls of a command.
func (s *server) calls(command string) int {
	s.t.Helper()
	return s.info("commandstats", "cmdstat_"+command+":calls=")
}

// clients returns the plugin's connections in CLIENT LIST: those for commands, and those
// that listen for changes.
func (s *server) clients() (pooled, listening []map[string]string) {
	s.t.Helper()
	for _, line := range strings.Split(string(s.Do("CLIENT", "LIST").Str), "\n") {
		c := map[string]string{}
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			c[name] = value
		}
		if c["name"] != "traefikoidc" {
			continue
		}
		if strings.Contains(c["flags"], "t") {
			listening = append(listening, c)
		} else {
			pooled = append(pooled, c)
		}
	}
	return pooled, listening
}

// patience bounds an event that does not depend on speed, on a busy machine.
const patience = time.Minute

// never fails the test when f becomes true within d.
func never(t testing.TB, event string, d time.Duration, f func() bool) {
	t.Helper()
	if eventually.Within(d, f) {
		t.Fatal(event)
	}
}

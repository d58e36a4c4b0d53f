package replicas

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// commands returns the redis-cli commands of a section of docs/redis.md, in their order.
// The tests below run them, so that the page is correct.
func commands(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/redis.md has no %q", heading)
	}
	if level, _, _ := strings.Cut(heading, " "); level != "" {
		section, _, _ = strings.Cut(section, "\n"+level+" ")
	}
	var found [][]string
	for _, line := range strings.Split(section, "\n") {
		if command, ok := strings.CutPrefix(strings.TrimLeft(line, " $"), "redis-cli "); ok {
			command, _, _ = strings.Cut(command, " #")
			found = append(found, words(command))
		}
	}
	return found
}

// words splits a line as a shell does, as far as single quotes go.
func words(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

// runs runs a command of the page.
func (s *server) runs(command []string) {
	s.t.Helper()
	if r := s.Do(command...); r.Err() != nil {
		s.t.Fatalf("%v: %v", command, r.Err())
	}
}

// areOne fails the test unless the two replicas share sessions. A sign-in at one is one
// at the other, and so is a sign-out.
func areOne(t *testing.T, a, b *replica) {
	t.Helper()
	for _, pair := range [][]*replica{{a, b}, {b, a}} {
		p := newUser(t, "carol").signIn(pair[0])
		p.lives(pair[1])
		stolen := p.copy()
		p.signOut(pair[1])
		stolen.ends(pair[0])
	}
}

func TestStepsOfAChangedPassword(t *testing.T) {
	t.Parallel()
	const heading, old, next = "### Changing the password", "the old password", "the new password"
	steps := commands(t, heading)
	if len(steps) != 3 {
		t.Fatalf("%d commands: %v", len(steps), steps)
	}
	s := startServer(t)
	s.Do(append([]string{"ACL", "SETUSER", "traefikoidc", "on", ">" + old, "~traefikoidc:*"}, strings.Fields(leastPrivileges)...)...)
	m := newMiddleware(t, oidctest.Options{})
	with := func(password string) section {
		return m.options(hybrid(s.Address(), "username", "traefikoidc", "password", password), channels)
	}
	a, b := m.pair(with(old))
	a.ready()
	b.ready()
	p, q := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(b)
	everybody := func() {
		t.Helper()
		for _, r := range []*replica{a, b} {
			p.lives(r)
			q.lives(r)
		}
		areOne(t, a, b)
	}

	s.runs(steps[0])
	a.reload(with(next))
	everybody() // while A changes
	a.says(inUse, 1)
	everybody() // A with the new one, B with the old one
	b.reload(with(next))
	b.says(inUse, 1)
	s.runs(steps[1])
	s.runs(steps[2])
	everybody()
	// The stores with the old password still run. They are refused and do not log it.
	eventually.True(t, "the old password is refused", func() bool { return s.refusals() >= 5 })
	for _, r := range []*replica{a, b} {
		if log := r.log(); strings.Contains(log, "WRONGPASS") || strings.Contains(log, "NOAUTH") {
			t.Errorf("the server refused the password:\n%s", log)
		}
	}
}

// refusals returns how often the server refused a password.
func (s *server) refusals() int {
	s.t.Helper()
	n := 0
	for _, entry := range s.Do("ACL", "LOG").Elems {
		for i := 0; i+1 < len(entry.Elems); i += 2 {
			if string(entry.Elems[i].Str) == "count" {
				n += int(entry.Elems[i+1].Int)
			}
		}
	}
	return n
}

func TestStepsFromMemoryToRedisAndBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	first, second := load(t)
	memory := m.options(nil, channels)
	redis := m.options(hybrid(s.Address()), channels)
	off := m.options(hybrid(s.Address(), "cacheMode", "memory"), channels)
	a, b := m.start(first, memory), m.start(second, memory)

	ofMemory := newUser(t, "alice").signIn(a)
	ofMemory.lives(a)
	for _, r := range []*replica{a, b} {
		r.reload(redis)
		r.says(inUse, 1)
	}
	ofMemory.lives(a) // a session in memory is handed over to Redis
	ofMemory.lives(b)
	ofRedis, ended, left := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(a), newUser(t, "carol").signIn(b)
	ofRedis.lives(b)
	stolen := left.copy()
	left.signOut(b)
	areOne(t, a, b)

	for _, r := range []*replica{a, b} {
		r.reload(off)
		r.says(inUse, 2)
	}
	ofRedis.is(a, "provider")
	between := newUser(t, "carol").signIn(a)
	between.lives(a)
	between.ended(b) // the replicas share nothing
	// The provider's logout reaches a session in Redis when that is on again.
	a.taken(m.provider.LogoutToken("client", "bob", "", nil))

	for _, r := range []*replica{a, b} {
		r.reload(redis)
		r.says(inUse, 3)
	}
	ofRedis.lives(a) // the sessions that are still in Redis are valid again
	ofRedis.lives(b)
	ended.ended(a)
	ended.ended(b)
	stolen.ended(a)
	stolen.ended(b)
	between.lives(a)
	between.lives(b)
	areOne(t, a, b)
}

func TestStepsOfANewSessionKey(t *testing.T) {
	t.Parallel()
	old, next := sessionKey, oidctest.NewSecret()
	s := startServer(t)
	m := newMiddleware(t, oidctest.Options{})
	with := func(keys ...any) section {
		return m.options(hybrid(s.Address()), channels, section{"sessionEncryptionKey": keys})
	}
	a, b := m.pair(with(old))
	a.ready()
	b.ready()
	var kept []*user // of each step, one of each replica
	for _, step := range []struct {
		name string
		a, b section
	}{
		{"one key", with(old), with(old)},
		{"A knows the new one", with(old, next), with(old)},
		{"both know it", with(old, next), with(old, next)},
		{"A seals with it", with(next, old), with(old, next)},
		{"both seal with it", with(next, old), with(next, old)},
	} {
		a.reload(step.a)
		b.reload(step.b)
		for _, p := range kept {
			p.lives(a)
			p.lives(b)
		}
		areOne(t, a, b)
		for _, pair := range [][]*replica{{a, b}, {b, a}} {
			kept = append(kept, newUser(t, "alice").signIn(pair[0]))

			// A callback that one has used is refused by the other.
			var p, twin *user
			var to *url.URL
			eventually.True(t, "a sign-in that is no outage", func() bool {
				p = newUser(t, "bob")
				to = p.callback(pair[0])
				twin = p.twin()
				return p.comesBack(pair[0], to).Status != http.StatusServiceUnavailable
			})
			redeemed := m.provider.Count(oidctest.Token)
			if twin.comesBack(pair[1], to); twin.value() != "" || m.provider.Count(oidctest.Token) != redeemed {
				t.Errorf("%s: a callback was used twice", step.name)
			}
			// A session that the provider ends at one ends at the other.
			pair[1].taken(m.provider.LogoutToken("client", "", p.sid(pair[1]), nil))
			p.ends(pair[0])
			p.ended(pair[1])
		}
	}

	// When the sessions of the old key have ended, or to end them.
	a.reload(with(next))
	last := newUser(t, "carol").signIn(b)
	last.lives(a)
	areOne(t, a, b)
	b.reload(with(next))
	for i, p := range kept {
		want := "provider"
		if i == 6 || i >= 8 { // A's of the step before the last, and both of the last
			want = "in"
		}
		p.is(a, want)
	}
	last.lives(b)
	areOne(t, a, b)
}

// TestStepsToKeepTheServerFromEvicting runs the commands of the page on a server of
// which the log warns.
func TestStepsToKeepTheServerFromEvicting(t *testing.T) {
	t.Parallel()
	steps := commands(t, "### No eviction")
	if len(steps) != 2 {
		t.Fatalf("%d commands: %v", len(steps), steps)
	}
	s := startServer(t, "--maxmemory", "60mb", "--maxmemory-policy", "allkeys-lru")
	a := alone(t, hybrid(s.Address()))
	a.says("Redis may evict", 1)
	for _, command := range steps {
		s.runs(command)
	}
	// The server is full. A signed-in user goes on, and a new session is kept until
	// there is room.
	p := newUser(t, "alice").signIn(a)
	s.Do("CONFIG", "SET", "maxmemory", "1")
	q := newUser(t, "bob").signIn(a)
	p.is(a, "in")
	q.is(a, "in")
	if n := len(s.keys(0, "traefikoidc:s:*")); n != 1 {
		t.Errorf("%d sessions on a full server", n)
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	eventually.True(t, "the other session is on the server", func() bool {
		q.is(a, "in")
		return len(s.keys(0, "traefikoidc:s:*")) == 2
	})
}

// TestStepsToEndSessions runs the commands of the page for one session, and for all.
func TestStepsToEndSessions(t *testing.T) {
	t.Parallel()
	x := newScene(t, startServer(t))
	p := x.member("alice")
	keys := x.server.keys(0, "traefikoidc:s:*")
	if len(keys) != 1 {
		t.Fatalf("%d sessions", len(keys))
	}
	ended := 0
	for _, command := range commands(t, "## Keys in Redis") {
		if command[0] == "UNLINK" {
			x.server.runs([]string{command[0], keys[0]})
			ended++
		}
	}
	if ended != 1 {
		t.Fatalf("the page ends %d sessions", ended)
	}
	p.ends(x.a)
	p.ends(x.b)
	q := x.member("bob")
	x.server.runs([]string{"FLUSHALL"})
	q.ends(x.a)
	q.ends(x.b)
	if page := q.get(x.a, "/page"); page.Status != http.StatusFound {
		t.Errorf("status %d", page.Status)
	}
}

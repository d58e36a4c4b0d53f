package replicas

import (
	"net/http"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// A mending is an outage that an option ends. begin returns the options before, and a
// function that begins the outage and returns the options that end it.
type mending struct {
	name  string
	same  bool // the server has its data then
	alone bool // each replica has its own memory then
	begin func(t *testing.T) (before section, breaks func() (after section))
}

var mendings = []mending{
	{name: "another password", same: true, begin: func(t *testing.T) (section, func() section) {
		s := startServer(t)
		s.Do(append([]string{"ACL", "SETUSER", "plugin", "on", ">old", "~traefikoidc:*"}, strings.Fields(leastPrivileges)...)...)
		with := func(password string) section {
			return hybrid(s.Address(), "username", "plugin", "password", password)
		}
		return with("old"), func() section {
			s.Do("ACL", "SETUSER", "plugin", "resetpass", ">new")
			s.Do("CLIENT", "KILL", "USER", "plugin")
			return with("new")
		}
	}},
	{name: "another address", same: true, begin: func(t *testing.T) (section, func() section) {
		s := startServer(t, durable...)
		return hybrid(s.Address()), func() section {
			s.Kill()
			s.Change(func(o *redistest.Options) { o.Port = 0 })
			s.Start()
			return hybrid(s.Address())
		}
	}},
	{name: "another authority", same: true, begin: func(t *testing.T) (section, func() section) {
		dir := t.TempDir()
		ours, theirs := newAuthority(t, dir, "ours"), newAuthority(t, dir, "theirs")
		cert, key := ours.issue("server", "127.0.0.1")
		next, nextKey := theirs.issue("next", "127.0.0.1")
		s := secured(t, ours, cert, key, durable...)
		with := func(a *authority) section {
			return hybrid(s.Address(), "tls", section{"enabled": "true", "caFile": a.file})
		}
		return with(ours), func() section {
			s.Kill()
			s.Change(func(o *redistest.Options) {
				for i, arg := range o.Args {
					switch arg {
					case cert:
						o.Args[i] = next
					case key:
						o.Args[i] = nextKey
					}
				}
			})
			s.Start()
			return with(theirs)
		}
	}},
	{name: "another server", begin: func(t *testing.T) (section, func() section) {
		s, other := startServer(t), startServer(t)
		return hybrid(s.Address()), func() section {
			s.Kill()
			return hybrid(other.Address())
		}
	}},
	{name: "memory", alone: true, begin: func(t *testing.T) (section, func() section) {
		s := startServer(t)
		return hybrid(s.Address()), func() section {
			s.Kill()
			return hybrid(s.Address(), "cacheMode", "memory")
		}
	}},
}

// TestAnOutageThatAnOptionEnds fails if a change in an outage is lost after it.
func TestAnOutageThatAnOptionEnds(t *testing.T) {
	for _, row := range mendings {
		t.Run("L2 J1 "+row.name, func(t *testing.T) {
			t.Parallel()
			m := newMiddleware(t, oidctest.Options{})
			before, breaks := row.begin(t)
			a, b := m.pair(m.options(before, channels))
			a.ready()
			b.ready()
			kept, leaver, gone := newUser(t, "carol").signIn(a), newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(a)
			for _, p := range []*user{kept, leaver, gone} {
				p.lives(b)
			}
			stolen := leaver.copy()

			after := breaks()
			a.says(fellBack, 1)
			b.says(fellBack, 1)
			leaver.signOut(a)
			if n := a.delivers(m.provider.LogoutToken("client", "bob", "", nil)); n.status != http.StatusBadRequest {
				t.Fatalf("a logout by the provider in an outage: status %d", n.status)
			}
			newcomer := newUser(t, "carol")
			back := newcomer.callback(a)
			twin := newcomer.twin()
			newcomer.comesBack(a, back)
			newcomer.livesAtOnce(a)

			mended := []*replica{a}
			if !row.alone {
				mended = []*replica{a, b}
			}
			for _, r := range mended {
				r.reload(m.options(after, channels))
				r.says(inUse, 1)
				stolen.endedAtOnce(r)
				gone.endedAtOnce(r)
				if row.same {
					kept.lives(r)
					newcomer.lives(r)
				}
				redeemed := m.provider.Count(oidctest.Token)
				if twin.comesBack(r, back); twin.value() != "" || m.provider.Count(oidctest.Token) != redeemed {
					t.Error("a callback was used twice")
				}
			}
			if !row.alone {
				areOne(t, a, b)
			}
		})
	}
}

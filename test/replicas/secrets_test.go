package replicas

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
)

// secrets are values that neither the log nor Redis may have.
type secrets map[string]string

// absent fails the test if the text has one, as it is or in a usual encoding.
func (c secrets) absent(t *testing.T, where, text string) {
	t.Helper()
	for name, value := range c {
		if len(value) < 5 {
			t.Errorf("no %s to look for", name)
			continue
		}
		for _, form := range []string{value, url.QueryEscape(value), hex.EncodeToString([]byte(value)),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(value)), "=")[:len(value)],
			base64.RawURLEncoding.EncodeToString([]byte(value))[:len(value)]} {
			if strings.Contains(text, form) {
				t.Errorf("%s has %s, as %q", where, name, form)
			}
		}
	}
}

func TestJ8NoSecretIsShown(t *testing.T) {
	t.Parallel()
	const password = "cAnArY-of-redis"
	s := startServer(t, "--rdbcompression", "no")
	s.Do("ACL", "SETUSER", "canaryuser", "on", ">"+password, "~*", "&*", "+@all")
	m := newMiddleware(t, oidctest.Options{Users: []oidctest.User{
		{Sub: "canary-subject", Email: "canary@example.com", EmailVerified: true, Name: "Canary Name", Groups: []string{"canary-group"}},
	}})
	k := newLink(t, s.Address())
	address := "redis://canaryuser:" + password + "@" + k.address + "/0"
	tell := section{"logLevel": "debug", "headers": []any{
		map[string]any{"name": "X-Tokens", "value": "{{.IDToken}} {{.AccessToken}} {{.RefreshToken}}"},
	}}
	a, b := m.pair(m.options(hybrid(address), tell))
	a.ready()
	b.ready()

	c := secrets{
		"the password": password, "the session key": sessionKey, "a subject": "canary-subject", "an address": "canary@example.com",
		"a name": "Canary Name", "a group": "canary-group",
	}
	p := newUser(t, "canary-subject")
	to := p.callback(a)
	c["the code"], c["the state"] = to.Query().Get("code"), to.Query().Get("state")
	p.comesBack(a, to)
	seen, err := backend.Read(p.get(b, "/page").Body)
	if err != nil {
		t.Fatal(err)
	}
	tokens := strings.Fields(seen.Header.Get("X-Tokens"))
	if len(tokens) != 3 {
		t.Fatalf("tokens: %q", tokens)
	}
	c["the ID token"], c["the access token"], c["the refresh token"] = tokens[0], tokens[1], tokens[2]
	c["the ID token's claims"] = strings.Split(tokens[0], ".")[1]
	c["the cookie"] = p.value()

	t.Run("J8 Redis holds no token, claim or cookie", func(t *testing.T) {
		gone := newUser(t, "canary-subject").signIn(a)
		gone.signOut(a)
		s.Do("CONFIG", "SET", "save", "")
		s.Do("SAVE")
		dump, err := os.ReadFile(filepath.Join(s.Dir, "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(dump), "traefikoidc:s:") || !strings.Contains(string(dump), "traefikoidc:j:") {
			t.Fatal("no sessions and markers in the dump")
		}
		c.absent(t, "Redis", string(dump))
		p.is(b, "in")
	})

	t.Run("J8 the log holds no secret after any failure", func(t *testing.T) {
		k.set(cut)
		for range 6 {
			p.get(a, "/page")
			p.copy().get(b, "/page")
		}
		newUser(t, "canary-subject").signIn(a)
		k.set(whole)
		s.Do("ACL", "SETUSER", "canaryuser", "resetpass", ">another-cAnArY")
		s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		a.reload(m.options(hybrid(strings.Replace(address, password, "wrong-cAnArY", 1)), tell))
		a.says(doNotWork, 1)
		a.reload(m.options(hybrid(strings.Replace(address, password, "another-cAnArY", 1)), tell))
		a.says(inUse, 1)
		for _, text := range []string{"signed in", "WRONGPASS"} {
			if !strings.Contains(a.log(), text) {
				t.Errorf("the log has not seen %q", text)
			}
		}
		c["a wrong password"], c["another password"] = "wrong-cAnArY", "another-cAnArY"
		c.absent(t, "the log", a.plugin.Log.Since(a.since)+b.plugin.Log.Since(b.since))
	})

	t.Run("J8 a refused value is not repeated", func(t *testing.T) {
		for _, bad := range []section{
			hybrid("redis://user:" + password + "@host:99999"),
			hybrid("redis://user:" + password + "@host:1/x"),
			hybrid("redis://us er:" + password + "@host%zz"),
			hybrid("127.0.0.1:1", "password", password, "poolSize", "no"),
			hybrid("127.0.0.1:1,127.0.0.1:2", "password", password),
			hybrid("127.0.0.1:1", "clusterMode", "true", "db", "1", "password", password),
			hybrid("127.0.0.1:1", "sentinelPassword", password),
		} {
			text, accepted := a.plugin.Accepts("refused", m.options(bad))
			if accepted || !strings.Contains(text, "redis.") {
				t.Errorf("%v: %q", bad["address"], text)
			}
			c.absent(t, "the refusal", text)
		}
	})
}

// leastPrivileges are the privileges of the plugin's user in docs/redis.md.
const leastPrivileges = "resetchannels &traefikoidc:changes -@all +hello +auth +select +ping +echo +info +get +set +del +unlink +exists +pttl +pexpire +scan +zadd +zrem +zcard +zremrangebyscore +zscan +getrange +eval +evalsha +publish +subscribe +client|setname +client|tracking"

func TestLeastPrivileges(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/redis.md")
	unquoted := strings.ReplaceAll(string(text), "'", "") // a shell takes the quotes off
	if err != nil || !strings.Contains(unquoted, leastPrivileges) {
		t.Errorf("docs/redis.md gives other privileges (%v)", err)
	}
	s := startServer(t, durable...)
	s.Do(append([]string{"ACL", "SETUSER", "plugin", "on", ">pw", "~traefikoidc:*"}, strings.Fields(leastPrivileges)...)...)
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(s.Address(), "username", "plugin", "password", "pw"), channels))
	a.ready()
	b.ready()
	m.provider.Set(func(b *oidctest.Behaviour) {
		b.TokenResponse = func(r map[string]any) { r["expires_in"] = 1 }
		b.RefreshResponse = func(r map[string]any) { r["expires_in"] = 300 }
	})
	refreshing := newUser(t, "carol").signIn(a)
	p, q := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(b)
	p.is(b, "in")
	left := q.copy()
	q.signOut(b)
	left.becomes(a, "provider")
	eventually.True(t, "refreshes", func() bool {
		refreshing.lives(a)
		return m.provider.Count(oidctest.Refresh) > 0
	})
	a.taken(m.provider.LogoutToken("client", "carol", "", nil))
	refreshing.ends(b)
	a.reload(m.options(hybrid(s.Address(), "username", "plugin", "password", "pw", "poolSize", "7"), channels))
	a.says(inUse, 1)
	p.is(a, "in")
	if refused := s.Do("ACL", "LOG"); len(refused.Elems) != 0 {
		for _, e := range refused.Elems {
			for _, f := range e.Elems {
				t.Logf("%s", f.Str)
			}
		}
		t.Errorf("the server refused %d commands", len(refused.Elems))
	}
}

// TestWithoutTracking has the user of docs/redis.md on a server that refuses client
// tracking. Only pub/sub can report a sign-out here before the test ends.
func TestWithoutTracking(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.Do(append([]string{"ACL", "SETUSER", "plugin", "on", ">pw", "~traefikoidc:*"}, strings.Fields(leastPrivileges)...)...)
	s.Do("ACL", "SETUSER", "plugin", "-client|tracking")
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(s.Address(), "username", "plugin", "password", "pw", "l1TTL", "5m", "maxL1Age", "5m")))
	eventually.True(t, "both replicas subscribe", func() bool {
		n := s.Do("PUBSUB", "NUMSUB", "traefikoidc:changes").Elems
		return len(n) == 2 && n[1].Int == 2
	})
	p := newUser(t, "alice").signIn(a)
	left := p.copy()
	left.is(b, "in")
	p.signOut(a)
	left.becomes(b, "provider")
	for _, e := range s.Do("ACL", "LOG").Elems {
		for i := 0; i+1 < len(e.Elems); i += 2 {
			if object := string(e.Elems[i+1].Str); string(e.Elems[i].Str) == "object" && object != "client|tracking" {
				t.Errorf("the server refused %s", object)
			}
		}
	}
}

// TestWithoutScripts has a Redis user that may not run scripts, with the commands that
// replace them in docs/redis.md.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	const instead = "+watch +unwatch +multi +exec"
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil || !strings.Contains(string(text), "`"+instead+"`") {
		t.Errorf("docs/redis.md gives other privileges (%v)", err)
	}
	privileges := strings.Fields(strings.Replace(leastPrivileges, "+eval +evalsha", instead, 1))
	s := startServer(t)
	s.Do(append([]string{"ACL", "SETUSER", "plugin", "on", ">pw", "~traefikoidc:*"}, privileges...)...)
	x := newScene(t, s, "username", "plugin", "password", "pw")
	x.tokensLast(2*time.Second, 5*time.Minute)
	p := newUser(t, "alice").signIn(x.a)
	eventually.True(t, "a refresh", func() bool {
		served(t, crowd(10, p, x.a, x.b))
		return x.provider.Count(oidctest.Refresh) > 0
	})
	served(t, crowd(10, p, x.a, x.b))
	x.refreshes(1)
	x.b.taken(x.provider.LogoutToken("client", "alice", "", nil))
	for _, r := range x.both() {
		p.ends(r)
	}
	q := newUser(t, "bob").signIn(x.b)
	stolen := q.copy()
	stolen.lives(x.a)
	q.signOut(x.a)
	stolen.ends(x.b)
	for _, e := range s.Do("ACL", "LOG").Elems {
		for i := 0; i+1 < len(e.Elems); i += 2 {
			if object := string(e.Elems[i+1].Str); string(e.Elems[i].Str) == "object" && object != "eval" && object != "evalsha" {
				t.Errorf("the server refused %s", object)
			}
		}
	}
}

package replicas

import (
	"flag"
	"maps"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// A row is an option of redis, and a check of its effect.
type row struct {
	option   string // below redis
	value    string
	variable string // of the environment
	world    string // the name of the environment; empty: the usual one
	required bool   // it cannot be left out
	check    func(x *trial)
}

// A trial is a check without the option, with it in the file, or with it in the
// environment.
type trial struct {
	*testing.T
	row    row
	set    bool
	plugin *loader.Plugin
	shield section // nil: the environment is empty
	m      *middleware
}

// defaults are in the file for the options that are not under test, where the environment
// has every option.
var defaults = section{
	"enabled": "true", "cacheMode": "hybrid", "keyPrefix": "traefikoidc", "db": "0",
	"maxRetries": "3", "poolSize": "10", "minIdleConns": "5", "maxConnAge": "3600", "poolTimeout": "4", "idleTimeout": "900",
	"dialTimeout": "5", "readTimeout": "3", "writeTimeout": "3", "operationTimeout": "500ms",
	"circuitBreakerThreshold": "5", "circuitBreakerTimeout": "60", "enableCircuitBreaker": "true",
	"enableHealthCheck": "true", "healthCheckInterval": "30", "hybridL1Size": "100000", "hybridL1MemoryMB": "64", "l1TTL": "1s", "maxL1Age": "60s",
	"tls.enabled": "false", "tls.insecureSkipVerify": "false", "tls.minVersion": "1.2",
}

// aliased has the option of each alias.
var aliased = map[string]string{
	"connectTimeout": "dialTimeout", "enableTLS": "tls.enabled", "tlsSkipVerify": "tls.insecureSkipVerify",
}

// start runs a replica with the row's option, or without it, on top of base.
func (x *trial) start(base section) *replica {
	x.Helper()
	flat := maps.Clone(x.shield)
	if flat == nil {
		flat = section{"enabled": "true"}
	}
	maps.Copy(flat, unhurried)
	maps.Copy(flat, base)
	delete(flat, x.row.option)
	delete(flat, aliased[x.row.option])
	if x.set && x.shield == nil {
		flat[x.row.option] = x.row.value
	}
	return x.m.start(x.plugin, x.m.options(nest(flat)))
}

// nest makes sections of names with a dot.
func nest(flat section) section {
	redis := section{}
	for name, value := range flat {
		if outer, inner, found := strings.Cut(name, "."); found {
			if redis[outer] == nil {
				redis[outer] = section{}
			}
			redis[outer].(section)[inner] = value
			continue
		}
		redis[name] = value
	}
	return redis
}

// other starts a second replica, on the other interpreter.
func (x *trial) other(redis section) *replica {
	x.Helper()
	_, b := load(x)
	o := x.m.start(b, x.m.options(redis))
	o.ready()
	return o
}

// strangers returns users with sessions that the trial's replica does not know.
func (x *trial) strangers(o *replica, n int) []*user {
	x.Helper()
	var all []*user
	for range n {
		all = append(all, newUser(x, "alice").signIn(o))
	}
	return all
}

// want fails the trial unless the effect was found exactly if the option is set.
func (x *trial) want(effect string, found bool) {
	x.Helper()
	if found != x.set {
		x.Errorf("%s: %t, with the option set: %t", effect, found, x.set)
	}
}

// connects reports whether the replica reaches its server.
func (x *trial) connects(r *replica) bool {
	x.Helper()
	found := false
	eventually.True(x, "connected, or in the fallback", func() bool {
		log := r.log()
		found = strings.Contains(log, "Redis cache initialized")
		return found || strings.Contains(log, fellBack)
	})
	return found
}

// run tries every row three times.
func run(t *testing.T, rows []row) {
	worlds := map[string]section{}
	for _, r := range rows {
		if r.variable == "" {
			continue
		}
		if worlds[r.world] == nil {
			worlds[r.world] = section{}
		}
		worlds[r.world][r.variable] = r.value
	}
	plain, _ := load(t)
	loaded := map[string]*loader.Plugin{}
	for name, variables := range worlds {
		loaded[name] = loadWith(t, variables)
	}
	for _, r := range rows {
		try := func(name string, x trial) {
			t.Run("redis."+r.option+" "+name, func(t *testing.T) {
				t.Parallel()
				x.T, x.row, x.m = t, r, newMiddleware(t, accounts)
				r.check(&x)
			})
		}
		if !r.required {
			try("unset", trial{plugin: plain})
		}
		try("in the file", trial{plugin: plain, set: true})
		if r.variable != "" {
			try(r.variable, trial{plugin: loaded[r.world], set: true, shield: defaults})
		}
	}
}

// accounts are users with small and with large sessions.
var accounts = oidctest.Options{Users: []oidctest.User{
	{Sub: "alice", Email: "alice@example.com", EmailVerified: true},
	{Sub: "large", Email: "large@example.com", EmailVerified: true, Extra: map[string]any{"long": strings.Repeat("x", 120<<10)}},
}}

func loadWith(t *testing.T, variables section) *loader.Plugin {
	t.Helper()
	for name, value := range variables {
		os.Setenv(name, value.(string))
		defer os.Unsetenv(name)
	}
	return loader.LoadAlone(t)
}

// TestMain lets more tests wait at a time than there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "6")
	}
	os.Exit(loader.Main(m))
}

func TestRedisOptions(t *testing.T) {
	common := startServer(t)
	run(t, []row{
		{option: "enabled", value: "true", variable: "REDIS_ENABLED", check: func(x *trial) {
			s := startServer(x)
			r := x.start(section{"address": s.Address(), "enabled": ""})
			newUser(x, "alice").signIn(r)
			x.want("a session is on the server", len(s.keys(0, "traefikoidc:s:*")) == 1)
		}},
		{option: "enabled", value: "false", variable: "REDIS_ENABLED", world: "off", required: true, check: func(x *trial) {
			s := startServer(x)
			base := section{"address": s.Address()}
			if x.shield != nil {
				x.row.option = "" // the file has true, and the environment overrides it
			}
			newUser(x, "alice").signIn(x.start(base))
			x.want("nothing is on the server", len(s.keys(0, "*")) == 0)
		}},
		{option: "address", value: common.Address(), variable: "REDIS_ADDRESS", required: true, check: func(x *trial) {
			x.start(section{"keyPrefix": "of-" + x.m.name}).ready()
			eventually.True(x, "connected", func() bool { return len(common.keys(0, "of-"+x.m.name+":*")) > 0 })
		}},
		{option: "address", value: "redis://" + common.Address() + "/7", required: true, check: func(x *trial) {
			x.start(section{"keyPrefix": "of-" + x.m.name}).ready()
			eventually.True(x, "connected", func() bool { return len(common.keys(7, "of-"+x.m.name+":*")) > 0 })
		}},
		{option: "address", value: "unix://" + common.Socket, required: true, check: func(x *trial) {
			x.start(section{"keyPrefix": "of-" + x.m.name}).ready()
			newUser(x, "alice").signIn(x.start(section{"keyPrefix": "of-" + x.m.name}))
			if len(common.keys(0, "of-"+x.m.name+":s:*")) != 1 {
				x.Error("no session on the server")
			}
			pooled, _ := common.clients()
			found := false
			for _, c := range pooled {
				found = found || strings.HasPrefix(c["addr"], common.Socket)
			}
			if !found {
				x.Error("no connection by the socket")
			}
		}},
		{option: "username", value: "app", variable: "REDIS_USERNAME", world: "who", check: func(x *trial) {
			s := startServer(x)
			s.Do("ACL", "SETUSER", "app", "on", ">app-cAnArY", "~*", "&*", "+@all")
			s.Do("CONFIG", "SET", "requirepass", "another")
			r := x.start(section{"address": s.Address(), "password": "app-cAnArY"})
			x.want("it connects", x.connects(r))
			pooled, listening := s.clients()
			for _, c := range append(pooled, listening...) {
				if c["user"] != "app" {
					x.Errorf("a connection of the user %q", c["user"])
				}
			}
		}},
		{option: "password", value: "app-cAnArY", variable: "REDIS_PASSWORD", world: "who", check: func(x *trial) {
			s := startServer(x)
			s.Do("ACL", "SETUSER", "someone", "on", ">app-cAnArY", "~*", "&*", "+@all")
			base := section{"address": s.Address()}
			if x.set {
				base["username"] = "someone"
			} else {
				s.Do("CONFIG", "SET", "requirepass", "app-cAnArY")
			}
			r := x.start(base)
			x.want("it connects", x.connects(r))
			if log := r.log(); strings.Contains(log, "cAnArY") || !x.set && !strings.Contains(log, "NOAUTH") {
				x.Errorf("the log:\n%s", log)
			}
		}},
		{option: "db", value: "3", variable: "REDIS_DB", check: func(x *trial) {
			s := startServer(x)
			r := x.start(section{"address": s.Address()})
			newUser(x, "alice").signIn(r)
			x.want("sessions are in database 3", len(s.keys(3, "traefikoidc:s:*")) == 1)
			x.want("sessions are not in database 0", len(s.keys(0, "traefikoidc:s:*")) == 0)
			r.ready()
			p := newUser(x, "alice").signIn(r)
			s.Do("EVAL", "redis.call('SELECT', ARGV[1]) for _, k in ipairs(redis.call('KEYS', 'traefikoidc:s:*')) do redis.call('DEL', k) end", "0", map[bool]string{true: "3", false: "0"}[x.set])
			p.becomes(r, "provider") // changes are reported across databases
		}},
		{option: "keyPrefix", value: "of-another-kind", variable: "REDIS_KEY_PREFIX", check: func(x *trial) {
			s := startServer(x)
			newUser(x, "alice").signIn(x.start(section{"address": s.Address()}))
			x.want("keys begin with it", len(s.keys(0, "of-another-kind:s:*")) == 1)
			x.want("no others are there", len(s.keys(0, "*")) == len(s.keys(0, "of-another-kind:*")))
		}},
		{option: "cacheMode", value: "redis", variable: "REDIS_CACHE_MODE", check: func(x *trial) {
			s := startServer(x)
			r := x.start(section{"address": s.Address()})
			r.ready()
			p := newUser(x, "alice").signIn(r)
			p.is(r, "in")
			before := s.calls("get")
			for i := 0; i < 10; i++ {
				p.is(r, "in")
			}
			x.want("each request asks the server", s.calls("get")-before >= 10)
			s.Kill()
			s.Start()
			r.says("Redis invalidation link up", 2)
			r.says("lost its data", 1)
			out := false
			eventually.True(x, "the session is restored, or out", func() bool {
				out = p.sees(r) == "provider"
				return out || len(s.keys(0, "traefikoidc:s:*")) == 1
			})
			x.want("memory has nothing to restore", out)
		}},
		{option: "maxRetries", value: "0", variable: "REDIS_MAX_RETRIES", check: func(x *trial) {
			s := startServer(x)
			k := newLink(x, s.Address())
			r := x.start(section{"address": k.address, "minIdleConns": "0", "circuitBreakerThreshold": "100", "enableHealthCheck": "false"})
			r.ready()
			all := x.strangers(x.other(hybrid(s.Address())), 5)
			k.set(deaf)
			// The first attempt may take a connection that was open. Background tasks try to
			// reach the server too, which adds attempts where requests are slow. If there
			// should be few it is tried again.
			few := false
			for tries := 0; tries == 0 || x.set && !few && tries < 4; tries++ {
				before := k.attempts()
				for _, p := range all {
					p.waits(r)
				}
				few = k.attempts()-before <= 9
			}
			x.want("one attempt for each request", few)
		}},
		{option: "poolSize", value: "2", variable: "REDIS_POOL_SIZE", check: func(x *trial) {
			s := startServer(x)
			k := newLink(x, s.Address())
			r := x.start(section{"address": k.address, "minIdleConns": "0", "operationTimeout": "90s", "readTimeout": "90s", "writeTimeout": "90s", "poolTimeout": "90s"})
			r.ready()
			all := x.strangers(x.other(hybrid(s.Address())), 8)
			for _, p := range all {
				p.on(r).Fetch(appURL + callback) // the TLS handshakes
			}
			s.Signal(syscall.SIGSTOP)
			ended := make(chan bool)
			go func() {
				together(all, func(p *user) { p.sees(r) })
				close(ended)
			}()
			// Without the option more connections come, however late, and stay. One that
			// takes the place of another is not one more.
			const listening = 1
			limit, seen := time.Second, 0
			if !x.set {
				limit = patience
			}
			x.want("two connections", !eventually.Within(limit, func() bool {
				seen++
				if k.live() <= 2+listening {
					seen = 0
				}
				return seen >= 20
			}))
			s.Signal(syscall.SIGCONT)
			<-ended
			all[0].becomes(r, "in")
		}},
		{option: "minIdleConns", value: "3", variable: "REDIS_MIN_IDLE_CONNS", check: func(x *trial) {
			s := startServer(x)
			r := x.start(section{"address": s.Address()})
			r.ready()
			want := map[bool]int{true: 3, false: 5}[x.set]
			eventually.True(x, "the idle connections", func() bool { pooled, _ := s.clients(); return len(pooled) == want })
		}},
		{option: "maxConnAge", value: "1", variable: "REDIS_MAX_CONN_AGE", check: func(x *trial) {
			s := startServer(x)
			r := x.start(section{"address": s.Address()})
			r.ready()
			var first map[string]bool
			eventually.True(x, "the idle connections", func() bool { first = ids(s); return len(first) == 5 })
			x.want("connections are replaced", eventually.Within(x.patienceIf(x.set), func() bool {
				for id := range ids(s) {
					if first[id] {
						return false
					}
				}
				return true
			}))
		}},
		{option: "idleTimeout", value: "1", variable: "REDIS_IDLE_TIMEOUT", check: func(x *trial) {
			s := startServer(x)
			r := x.start(section{"address": s.Address(), "minIdleConns": "0"})
			r.ready()
			newUser(x, "alice").signIn(r)
			x.want("unused connections are closed", eventually.Within(x.patienceIf(x.set), func() bool {
				pooled, listening := s.clients()
				return len(pooled) == 0 && len(listening) == 1
			}))
		}},
		{option: "poolTimeout", value: longest, variable: "REDIS_POOL_TIMEOUT", check: func(x *trial) {
			x.waitsLonger(section{"poolSize": "1", "minIdleConns": "0"}, 2)
		}},
		{option: "dialTimeout", value: longest, variable: "REDIS_DIAL_TIMEOUT", check: dials},
		{option: "connectTimeout", value: longest, variable: "REDIS_CONNECT_TIMEOUT", world: "aliases", check: dials},
		{option: "readTimeout", value: longest, variable: "REDIS_READ_TIMEOUT", check: func(x *trial) { x.waitsLonger(section{}, 1) }},
		{option: "writeTimeout", value: longest, variable: "REDIS_WRITE_TIMEOUT", check: func(x *trial) { x.waitsLonger(section{}, 1) }},
		{option: "operationTimeout", value: longest, variable: "REDIS_OPERATION_TIMEOUT", check: func(x *trial) { x.waitsLonger(section{}, 1) }},
		{option: "enableCircuitBreaker", value: "false", variable: "REDIS_ENABLE_CIRCUIT_BREAKER", check: func(x *trial) {
			x.want("every request asks", failures(x, section{}, 12) == 12)
		}},
		{option: "circuitBreakerThreshold", value: "2", variable: "REDIS_CIRCUIT_BREAKER_THRESHOLD", check: func(x *trial) {
			// The end of the link for changes makes the plugin try to reach the server, too.
			most := map[bool]int{true: 2, false: 5}[x.set]
			n := failures(x, section{}, 12)
			for tries := 0; n < most-2 && tries < 4; tries++ { // requests were slow
				n = failures(x, section{}, 12)
			}
			if n > most || n < most-2 {
				x.Errorf("the breaker opened after %d failures, want %d at most", n, most)
			}
		}},
		{option: "circuitBreakerTimeout", value: "300ms", variable: "REDIS_CIRCUIT_BREAKER_TIMEOUT", check: func(x *trial) {
			s := startServer(x)
			k := newLink(x, s.Address())
			r := x.start(section{"address": k.address, "maxRetries": "0", "minIdleConns": "0", "circuitBreakerThreshold": "1", "healthCheckInterval": "100ms"})
			r.ready()
			k.set(deaf)
			r.says(fellBack, 1)
			before := k.attempts()
			// Pauses that double up to a minute need more than ten for so many.
			x.want("probes follow closely", eventually.Within(x.patienceIf(x.set), func() bool { return k.attempts()-before >= 16 }))
		}},
		{option: "enableHealthCheck", value: "false", variable: "REDIS_ENABLE_HEALTH_CHECK", check: func(x *trial) {
			x.want("the server gets no checks", !isChecked(x, section{"healthCheckInterval": "200ms"}, !x.set))
		}},
		{option: "healthCheckInterval", value: "200ms", variable: "REDIS_HEALTH_CHECK_INTERVAL", check: func(x *trial) {
			x.want("the server gets checks all the time", isChecked(x, section{}, x.set))
		}},
		{option: "hybridL1Size", value: "3", variable: "REDIS_HYBRID_L1_SIZE", check: func(x *trial) {
			x.want("memory held no more than that", kept(x, "alice", 8, 4) <= 3)
		}},
		{option: "hybridL1MemoryMB", value: "1", variable: "REDIS_HYBRID_L1_MEMORY_MB", check: func(x *trial) {
			n := kept(x, "large", 9, 8)
			x.want("memory held no more than that", n > 0 && n < 8)
		}},
		{option: "maxL1Age", value: "100ms", variable: "REDIS_MAX_L1_AGE", check: func(x *trial) {
			s := startServer(x)
			r := x.start(section{"address": s.Address()})
			r.ready()
			p := newUser(x, "alice").signIn(r)
			p.is(r, "in")
			before := s.calls("get")
			x.want("a session in memory is read again", eventually.Within(x.patienceIf(x.set), func() bool {
				p.is(r, "in")
				return s.calls("get") >= before+5
			}))
		}},
		{option: "l1TTL", value: "5m", variable: "REDIS_L1_TTL", check: func(x *trial) {
			s := startServer(x)
			s.Do("ACL", "SETUSER", "mute", "on", ">pw", "~*", "&*", "+@all", "-client|tracking")
			r := x.start(section{"address": s.Address(), "username": "mute", "password": "pw"})
			r.says("Redis cache initialized", 1)
			o := x.other(hybrid(s.Address()))
			p := newUser(x, "alice").signIn(r)
			copied := p.copy()
			copied.is(r, "in")
			p.signOut(o)
			x.want("a sign-out elsewhere is learnt late", !eventually.Within(x.patienceIf(!x.set), func() bool { return copied.sees(r) == "provider" }))
		}},
	})
}

// ids returns the ids of the connections for commands.
func ids(s *server) map[string]bool {
	s.t.Helper()
	pooled, _ := s.clients()
	found := map[string]bool{}
	for _, c := range pooled {
		found[c["id"]] = true
	}
	return found
}

// patienceIf returns how long to wait for an event that is to come, or for one that is not.
// The second has no condition to wait for, and a slow machine makes it no sooner.
func (x *trial) patienceIf(comes bool) time.Duration {
	if comes {
		return patience
	}
	return 2500 * time.Millisecond
}

// together calls f for all at once.
func together(all []*user, f func(p *user)) {
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f(p)
		}()
	}
	wg.Wait()
}

// longest is more than any default of a timeout, and than a test takes.
const longest = "5m"

// lasting sets the longest value of each timeout, except the one of the row. Only that
// can end a wait.
func (x *trial) lasting(base section) section {
	for option := range unhurried {
		base[option] = longest
	}
	delete(base, x.row.option)
	delete(base, aliased[x.row.option])
	return base
}

// beside starts a replica with only base, so the row's option has its default.
func (x *trial) beside(base section) *replica {
	x.Helper()
	base = maps.Clone(base)
	base["enabled"] = "true"
	_, b := load(x)
	return x.m.start(b, x.m.options(base))
}

// A standstill has requests to a replica while Redis does not reply.
type standstill struct {
	r     *replica
	asked sync.WaitGroup
	ended atomic.Int32 // with the response of an outage
}

func (w *standstill) ask(all ...*user) {
	for _, p := range all {
		w.asked.Add(1)
		go func() {
			defer w.asked.Done()
			if p.uses(w.r).status == http.StatusServiceUnavailable {
				w.ended.Add(1)
			}
		}()
	}
}

// waitsLonger stops Redis while n users wait for it at the trial's replica. Without
// the option, its default ends a wait. With it, none ends while the default ends one wait
// after the other at a replica beside.
func (x *trial) waitsLonger(base section, n int) {
	x.Helper()
	const rounds = 3
	s := startServer(x)
	base = x.lasting(base)
	base["address"], base["enableHealthCheck"], base["enableCircuitBreaker"] = s.Address(), "false", "false"
	here, there := &standstill{r: x.start(base)}, &standstill{r: x.beside(base)}
	here.r.ready()
	there.r.ready()
	ofHere, ofThere := x.strangers(there.r, n), x.strangers(here.r, n+rounds-1)
	s.Signal(syscall.SIGSTOP)
	defer func() {
		s.Signal(syscall.SIGCONT)
		here.asked.Wait()
		there.asked.Wait()
	}()
	here.ask(ofHere...)
	if !x.set {
		eventually.True(x, "the default ends a wait", func() bool { return here.ended.Load() > 0 })
		return
	}
	there.ask(ofThere[:n]...)
	for i := range int32(rounds) {
		eventually.True(x, "the default ends a wait at the other replica", func() bool { return there.ended.Load() > i })
		if next := n + int(i); next < len(ofThere) {
			there.ask(ofThere[next])
		}
	}
	if here.ended.Load() != 0 {
		x.Error("a wait ended before the time that the option gives it")
	}
}

// dials is waitsLonger for connections that get no reply.
func dials(x *trial) {
	k, other := newLink(x, "127.0.0.1:1"), newLink(x, "127.0.0.1:1")
	k.set(silent)
	other.set(silent)
	base := x.lasting(section{"address": k.address, "enableHealthCheck": "false"})
	x.start(base)
	if !x.set {
		eventually.True(x, "the default ends a connection", func() bool { return k.unanswered() > 0 })
		return
	}
	eventually.True(x, "a connection", func() bool { return k.live() > 0 })
	base["address"] = other.address
	x.beside(base)
	eventually.True(x, "the default ends connections at the other replica", func() bool { return other.unanswered() >= 10 })
	if k.unanswered() != 0 {
		x.Error("a connection was given up before the time that the option gives it")
	}
}

// failures returns how many of n requests query a server that is gone before the breaker
// opens.
func failures(x *trial, base section, n int) int {
	x.Helper()
	s := startServer(x)
	base["address"] = s.Address()
	base["enableHealthCheck"] = "false"
	r := x.start(base)
	r.ready()
	p := x.strangers(x.other(hybrid(s.Address())), 1)[0]
	s.Kill()
	for i := range n {
		if strings.Contains(r.log(), "Circuit breaker opened") {
			return i
		}
		p.waits(r)
	}
	return n
}

// isChecked reports whether the server gets ten PINGs, other than on the link for
// changes. The usual interval would need five minutes for so many.
func isChecked(x *trial, base section, expected bool) bool {
	x.Helper()
	k := newLink(x, startServer(x).Address())
	base["address"] = k.address
	r := x.start(base)
	r.ready()
	before := k.pings()
	return eventually.Within(x.patienceIf(expected), func() bool { return k.pings()-before >= 10 })
}

// kept returns how many of n sessions come back to a server that lost its data. Without
// the option they are enough. With it there are few, however long it takes.
func kept(x *trial, name string, n, enough int) int {
	x.Helper()
	s := startServer(x)
	r := x.start(section{"address": s.Address()})
	r.ready()
	for range n {
		newUser(x, name).signIn(r)
	}
	s.Kill()
	s.Start()
	r.says("lost its data", 1)
	r.says("Redis invalidation link up", 2)
	found, alike := 0, 0
	eventually.True(x, "restored", func() bool {
		alike++
		if now := len(s.keys(0, "traefikoidc:s:*")); now != found {
			found, alike = now, 0
		}
		return found >= enough || x.set && found > 0 && alike >= 200
	})
	return found
}

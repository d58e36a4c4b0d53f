package resp_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// A group is a master, its replicas, and the sentinels that watch them.
type group struct {
	t         *testing.T
	password  string    // of the servers; empty: servers and sentinels have none
	servers   []*server // the first is the first master
	sentinels []*server
}

const masterName = "sessions"

// startGroup starts a master with two replicas, and three sentinels. If there is a
// password, each sentinel requires its own.
func startGroup(t *testing.T, password string) *group {
	t.Helper()
	g := &group{t: t, password: password}
	var settings []string
	if password != "" {
		settings = []string{
			"requirepass of-sentinels", "sentinel sentinel-pass of-sentinels", "sentinel auth-pass " + masterName + " " + password,
		}
	}
	for i := 0; i < 3; i++ {
		args := []string{"--repl-diskless-sync-delay", "0"}
		if password != "" {
			args = append(args, "--requirepass", password, "--masterauth", password)
		}
		if i > 0 {
			args = append(args, "--replicaof", "127.0.0.1 "+g.servers[0].Port())
		}
		g.servers = append(g.servers, startServer(t, args...))
	}
	for i := 0; i < 3; i++ {
		g.sentinels = append(g.sentinels, g.startSentinel(settings))
	}
	for _, s := range g.sentinels {
		c := s.client(g.credentials)
		eventually.True(t, "a sentinel knows the others and the replicas", func() bool {
			r, err := c.Do(bg, "SENTINEL", "CKQUORUM", masterName)
			if err != nil || !strings.HasPrefix(string(r.Str), "OK 3 usable") {
				return false
			}
			r, err = c.Do(bg, "SENTINEL", "REPLICAS", masterName)
			return err == nil && len(r.Elems) == 2
		})
	}
	return g
}

// credentials are those of a sentinel.
func (g *group) credentials(o *resp.Options) {
	if g.password != "" {
		o.Password = "of-sentinels"
	}
}

func (g *group) startSentinel(settings []string) *server {
	g.t.Helper()
	lines := append([]string{
		"sentinel monitor " + masterName + " 127.0.0.1 " + g.servers[0].Port() + " 2",
		"sentinel down-after-milliseconds " + masterName + " 5000",
		"sentinel failover-timeout " + masterName + " 20000",
	}, settings...)
	s := &server{Fixture: redistest.Prepare(g.t, redistest.Options{Args: []string{"--sentinel"}, Config: lines}), t: g.t}
	s.Start()
	return s
}

// follow returns started Sentinels with the addresses of the first n sentinels, and a
// client of the master.
func (g *group) follow(n int, change func(*resp.SentinelOptions)) (*resp.Sentinels, *resp.Client) {
	g.t.Helper()
	o := resp.SentinelOptions{Master: masterName, Timeout: 20 * time.Second, Poll: time.Hour}
	for _, s := range g.sentinels[:n] {
		o.Addresses = append(o.Addresses, s.Address())
	}
	o.Server = resp.Options{OperationTimeout: 20 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second}
	o.Server.Password = g.password
	g.credentials(&o.Sentinel)
	if change != nil {
		change(&o)
	}
	s := resp.NewSentinels(o)
	s.Start()
	g.t.Cleanup(s.Close)
	here := o.Server
	here.Location = s.Location()
	c := resp.NewClient(here)
	g.t.Cleanup(c.Close)
	return s, c
}

// failover has a sentinel fail over, and returns when the master is another server.
func (g *group) failover(s *resp.Sentinels) string {
	g.t.Helper()
	before, _ := s.Location().Address()
	admin := g.sentinels[0].client(g.credentials)
	eventually.True(g.t, "a failover begins", func() bool {
		_, err := admin.Do(bg, "SENTINEL", "FAILOVER", masterName)
		return err == nil
	})
	g.awaitOther(s, before)
	after, _ := s.Location().Address()
	return after
}

func (g *group) awaitOther(s *resp.Sentinels, before string) {
	g.t.Helper()
	eventually.True(g.t, "another master is published", func() bool {
		now, _ := s.Location().Address()
		return now != "" && now != before
	})
}

func TestAMasterThatSentinelsName(t *testing.T) {
	g := startGroup(t, "")
	s, c := g.follow(3, nil)
	for i := 0; i < 3; i++ {
		if err := c.Set(bg, "k", []byte("v"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if at, generation := s.Location().Address(); at != g.servers[0].Address() || generation != 1 {
		t.Errorf("%s, generation %d", at, generation)
	}

	// The others are learnt from one.
	_, one := g.follow(1, nil)
	if err := one.Ping(bg); err != nil {
		t.Error(err)
	}

	_, none := g.follow(3, func(o *resp.SentinelOptions) { o.Master = "other" })
	if err := none.Ping(bg); !errors.Is(err, resp.ErrUnknownMaster) {
		t.Errorf("a master that is unknown to the sentinels: %v", err)
	}

	// The connections of a Tracker follow as well.
	tracked := make(chan []string, 64)
	o := resp.Options{Location: s.Location()}
	tracker := resp.NewTracker(o, []string{""}, &keyList{keys: tracked})
	tracker.Start()
	defer tracker.Close()

	at := g.failover(s)
	eventually.True(t, "writes are served by "+at, func() bool {
		return c.Set(bg, "k", []byte("w"), time.Hour) == nil
	})
	if got, err := c.Get(bg, "k"); err != nil || string(got) != "w" {
		t.Errorf("%q, %v", got, err)
	}
	for _, server := range g.servers {
		if server.Address() != at {
			continue
		}
		admin := server.client(nil)
		eventually.True(t, "the tracker listens to the new master", func() bool {
			do(t, admin, "SET", "told", "x")
			for len(tracked) > 0 {
				if keys := <-tracked; len(keys) == 1 && keys[0] == "told" {
					return true
				}
			}
			return false
		})
	}
}

// A keyList delivers the keys that changed.
type keyList struct {
	keys chan []string
}

func (c *keyList) Up()            {}
func (c *keyList) Down(err error) {}
func (c *keyList) Invalidate(keys []string) {
	if len(c.keys) < cap(c.keys) {
		c.keys <- keys
	}
}

// A stopped master keeps its connections open. They are closed as soon as the
// sentinels name another one, also in the middle of a command.
func TestAStoppedMaster(t *testing.T) {
	g := startGroup(t, "")
	s, c := g.follow(3, func(o *resp.SentinelOptions) {
		o.Server.MaxRetries = -1
		o.Server.OperationTimeout, o.Server.ReadTimeout, o.Server.WriteTimeout = forever, forever, forever
	})
	if err := c.Set(bg, "k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	old, _ := s.Location().Address()
	g.servers[0].Signal(syscall.SIGSTOP)
	done := make(chan error, 1)
	go func() {
		_, err := c.Do(bg, "INCR", "n")
		done <- err
	}()
	g.awaitOther(s, old)
	if err := <-done; !errors.Is(err, resp.ErrAmbiguous) {
		t.Errorf("a command under way: %v", err)
	}
	eventually.True(t, "the new master serves", func() bool { return c.Set(bg, "k", []byte("w"), time.Hour) == nil })

	g.servers[0].Signal(syscall.SIGCONT)
	for i := 0; i < 50; i++ {
		if got, err := c.Get(bg, "k"); err != nil || string(got) != "w" {
			t.Fatalf("the old master came back: %q, %v", got, err)
		}
	}
	if now, _ := s.Location().Address(); now == old {
		t.Error("the old master was published again")
	}
}

// Without a majority the master that is known stays, and an unknown one is not guessed.
func TestAMinorityOfSentinels(t *testing.T) {
	g := startGroup(t, "")
	s, c := g.follow(3, func(o *resp.SentinelOptions) { o.Poll = 10 * time.Millisecond })
	if err := c.Ping(bg); err != nil {
		t.Fatal(err)
	}
	g.sentinels[1].Kill()
	g.sentinels[2].Kill()
	_, stranger := g.follow(3, nil)
	if err := stranger.Ping(bg); !errors.Is(err, resp.ErrNotSent) || !strings.Contains(err.Error(), "1 of 3") {
		t.Errorf("without a majority: %v", err)
	}
	if err := c.Ping(bg); err != nil {
		t.Errorf("the known master: %v", err)
	}
	// As soon as it is a replica, it is not published any more.
	admin := g.servers[0].client(nil)
	eventually.True(t, "the replica is dropped", func() bool {
		do(t, admin, "REPLICAOF", "127.0.0.1", g.servers[1].Port())
		at, _ := s.Location().Address()
		return at == ""
	})
}

// Sentinels have credentials of their own.
func TestSentinelsWithCredentials(t *testing.T) {
	g := startGroup(t, "of-servers")
	s, c := g.follow(1, nil)
	if err := c.Ping(bg); err != nil {
		t.Fatal(err)
	}
	_, refused := g.follow(3, func(o *resp.SentinelOptions) { o.Sentinel.Password = "of-servers" })
	if err := refused.Ping(bg); !errors.Is(err, resp.ErrWrongPass) || strings.Contains(err.Error(), "of-servers") {
		t.Errorf("the password of the servers at the sentinels: %v", err)
	}
	_, refused = g.follow(3, func(o *resp.SentinelOptions) { o.Server.Password = "of-sentinels" })
	if err := refused.Ping(bg); !errors.Is(err, resp.ErrWrongPass) {
		t.Errorf("the password of the sentinels at the servers: %v", err)
	}
	g.failover(s)
	eventually.True(t, "writes are served", func() bool { return c.Set(bg, "k", []byte("w"), time.Hour) == nil })
}

// followers uses sentinels as a plugin does.
const followers = `package followers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
)

var (
	bg        = context.Background()
	sentinels *resp.Sentinels
	client    *resp.Client
	callers   sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	bad     []string
	written int
)

func over() bool {
	mu.Lock()
	defer mu.Unlock()
	return ended
}

func note(what string) {
	mu.Lock()
	defer mu.Unlock()
	if len(bad) < 10 {
		bad = append(bad, what)
	}
}

func wrote() {
	mu.Lock()
	defer mu.Unlock()
	written++
}

func caller(g int) {
	key := fmt.Sprintf("key-%d", g)
	for i := 0; !over(); i++ {
		if client.Set(bg, key, []byte(fmt.Sprintf("%s-%d", key, i)), time.Hour) != nil {
			continue
		}
		wrote()
		got, err := client.Get(bg, key)
		if err == nil && !strings.HasPrefix(string(got), key+"-") {
			note(key + " holds " + string(got))
		}
	}
	callers.Done()
}

func Begin(addresses []string, master string) {
	server := resp.Options{OperationTimeout: 5 * time.Second}
	sentinels = resp.NewSentinels(resp.SentinelOptions{Master: master, Addresses: addresses, Server: server, Timeout: 20 * time.Second, Poll: time.Hour})
	sentinels.Start()
	server.Location = sentinels.Location()
	client = resp.NewClient(server)
	for g := 0; g < 16; g++ {
		callers.Add(1)
		go caller(g)
	}
}

func Written() int {
	mu.Lock()
	defer mu.Unlock()
	return written
}

func Address() string {
	address, _ := sentinels.Location().Address()
	return address
}

func End() string {
	mu.Lock()
	ended = true
	mu.Unlock()
	callers.Wait()
	client.Close()
	sentinels.Close()
	sentinels.Close()
	return strings.Join(bad, ", ")
}
`

func TestInterpretedSentinels(t *testing.T) {
	g := startGroup(t, "")
	i := interpreter(t)
	if _, err := i.Eval(followers); err != nil {
		t.Fatal(err)
	}
	call := map[string]any{}
	for _, name := range []string{"Begin", "Written", "Address", "End"} {
		v, err := i.Eval("followers." + name)
		if err != nil {
			t.Fatal(err)
		}
		call[name] = v.Interface()
	}
	address, written := call["Address"].(func() string), call["Written"].(func() int)
	call["Begin"].(func([]string, string))([]string{g.sentinels[0].Address()}, masterName)
	eventually.True(t, "the master serves", func() bool { return written() > 100 })
	before := address()
	admin := g.sentinels[1].client(nil)
	eventually.True(t, "a failover begins", func() bool {
		_, err := admin.Do(bg, "SENTINEL", "FAILOVER", masterName)
		return err == nil
	})
	eventually.True(t, "another master is published", func() bool { now := address(); return now != "" && now != before })
	n := written()
	eventually.True(t, "the new master serves", func() bool { return written() > n+100 })
	if bad := call["End"].(func() string)(); bad != "" {
		t.Error(bad)
	}
}

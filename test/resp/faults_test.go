package resp_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
)

// refusals are refusals of a real server: the way to cause each, and the error of an
// operation then.
var refusals = []struct {
	name    string
	args    []string
	options func(*resp.Options)
	prepare func(t *testing.T, s *server, admin *resp.Client)
	call    func(c *resp.Client) error
	want    error
	heal    func(t *testing.T, s *server, admin *resp.Client)
}{
	{name: "NOAUTH", args: []string{"--requirepass", "pw"}, call: get, want: resp.ErrNoAuth},
	{name: "WRONGPASS", args: []string{"--requirepass", "pw"}, options: func(o *resp.Options) { o.Password = "no" }, call: get, want: resp.ErrWrongPass},
	{name: "NOPERM command", options: func(o *resp.Options) { o.Username, o.Password = "app", "pw" },
		prepare: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "ACL", "SETUSER", "app", "on", ">pw", "~sess:*", "+get", "+set")
		},
		call: func(c *resp.Client) error { _, err := c.Del(bg, "sess:1"); return err }, want: resp.ErrNoPerm},
	{name: "NOPERM key", options: func(o *resp.Options) { o.Username, o.Password = "app", "pw" },
		prepare: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "ACL", "SETUSER", "app", "on", ">pw", "~sess:*", "+get", "+set")
		},
		call: get, want: resp.ErrNoPerm},
	{name: "OOM", args: []string{"--maxmemory-policy", "noeviction"},
		prepare: func(t *testing.T, s *server, admin *resp.Client) { do(t, admin, "CONFIG", "SET", "maxmemory", "1") },
		call:    set, want: resp.ErrOOM,
		heal: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "CONFIG", "SET", "maxmemory", "0")
		}},
	{name: "MISCONF",
		prepare: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "SET", "k", "v")
			do(t, admin, "CONFIG", "SET", "save", "3600 1")
			if err := os.RemoveAll(s.Dir); err != nil {
				t.Fatal(err)
			}
			do(t, admin, "BGSAVE")
			eventually.True(t, "the save has failed", func() bool {
				return strings.Contains(string(do(t, admin, "INFO", "persistence").Str), "rdb_last_bgsave_status:err")
			})
			if _, err := admin.Get(bg, "k"); err != nil {
				t.Errorf("reads are refused too: %v", err)
			}
		},
		call: set, want: resp.ErrMisconf,
		heal: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
		}},
	{name: "NOREPLICAS", args: []string{"--min-replicas-to-write", "1"}, call: set, want: resp.ErrNoReplicas,
		heal: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "CONFIG", "SET", "min-replicas-to-write", "0")
		}},
	{name: "READONLY",
		prepare: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "REPLICAOF", "127.0.0.1", "1")
		},
		call: set, want: resp.ErrReadOnly,
		heal: func(t *testing.T, s *server, admin *resp.Client) { do(t, admin, "REPLICAOF", "NO", "ONE") }},
	{name: "MASTERDOWN", args: []string{"--replica-serve-stale-data", "no"},
		prepare: func(t *testing.T, s *server, admin *resp.Client) {
			do(t, admin, "REPLICAOF", "127.0.0.1", "1")
		},
		call: get, want: resp.ErrMasterDown,
		heal: func(t *testing.T, s *server, admin *resp.Client) { do(t, admin, "REPLICAOF", "NO", "ONE") }},
	{name: "WRONGTYPE",
		prepare: func(t *testing.T, s *server, admin *resp.Client) { do(t, admin, "LPUSH", "k", "v") },
		call:    get, want: resp.ErrWrongType,
		heal: func(t *testing.T, s *server, admin *resp.Client) { do(t, admin, "DEL", "k") }},
	{name: "max clients", args: []string{"--maxclients", "1"},
		prepare: func(t *testing.T, s *server, admin *resp.Client) { do(t, admin, "PING") },
		call:    get, want: resp.ErrMaxClients,
		heal: func(t *testing.T, s *server, admin *resp.Client) { do(t, admin, "CONFIG", "SET", "maxclients", "100") }},
	{name: "protocol of a stranger", call: func(c *resp.Client) error { _, err := c.Do(bg, "DEBUG", "PROTOCOL", "no such type"); return err }, want: resp.ErrTerminal},
}

func get(c *resp.Client) error { _, err := c.Get(bg, "k"); ignoreNil(&err); return err }

func set(c *resp.Client) error { return c.Set(bg, "k", []byte("v"), time.Minute) }

func ignoreNil(err *error) {
	if errors.Is(*err, resp.ErrNil) {
		*err = nil
	}
}

func TestRefusalsOfARealServer(t *testing.T) {
	for _, row := range refusals {
		t.Run(row.name, func(t *testing.T) {
			s := startServer(t, row.args...)
			admin := s.client(nil)
			if row.prepare != nil {
				row.prepare(t, s, admin)
			}
			c := s.client(row.options)
			err := row.call(c)
			if !errors.Is(err, row.want) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "pw") || strings.Contains(err.Error(), "sess:") {
				t.Errorf("the error contains the password or the key: %v", err)
			}
			if row.heal != nil {
				row.heal(t, s, admin)
				eventually.True(t, "healed", func() bool { return row.call(c) == nil })
			}
			if p := c.Stats().Pool; p.InUse != 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestJ1AServerThatLoads(t *testing.T) {
	s := startServer(t)
	admin := s.client(nil)
	do(t, admin, "DEBUG", "POPULATE", "3000", "k", "100")
	do(t, admin, "SAVE")
	s.Kill()
	s.Launch("--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024")
	c := s.client(nil)
	eventually.True(t, "it listens", func() bool { return !errors.Is(get(c), resp.ErrNotSent) })
	if err := get(c); !errors.Is(err, resp.ErrLoading) {
		t.Errorf("J1 %v", err)
	}
	if err := c.Ping(bg); !errors.Is(err, resp.ErrLoading) {
		t.Errorf("J1 a server that loads its data is ready: %v", err)
	}
	do(t, c, "CONFIG", "SET", "key-load-delay", "0")
	eventually.True(t, "loaded", func() bool { return get(c) == nil })
}

func TestJ1AServerThatIsBusy(t *testing.T) {
	s := startServer(t, "--busy-reply-threshold", "50")
	c := s.client(func(o *resp.Options) { o.MaxRetries = -1 })
	other := s.client(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = other.Do(bg, "EVAL", "while true do end", "0")
	}()
	eventually.True(t, "busy", func() bool { return errors.Is(get(c), resp.ErrBusy) })
	if err := c.Ping(bg); !errors.Is(err, resp.ErrBusy) {
		t.Errorf("J1 %v", err)
	}
	do(t, s.client(nil), "SCRIPT", "KILL")
	<-done
	eventually.True(t, "free", func() bool { return get(c) == nil })
}

func TestJ1AServerThatStops(t *testing.T) {
	s := startServer(t)
	c := s.client(func(o *resp.Options) { o.OperationTimeout = 200 * time.Millisecond })
	eventually.True(t, "served", func() bool { return set(c) == nil })
	s.Signal(syscall.SIGSTOP)
	var wg sync.WaitGroup
	for i := 0; i < 30; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if get(c) == nil {
				t.Error("J1 a command to a stopped server succeeded")
			}
		}()
	}
	wg.Wait()
	s.Signal(syscall.SIGCONT)
	eventually.True(t, "served again", func() bool { return get(c) == nil })
	if p := c.Stats().Pool; p.Open > 10 || p.InUse != 0 {
		t.Errorf("%+v", p)
	}
}

func TestJ1AServerThatIsSlow(t *testing.T) {
	s := startServer(t)
	c := s.client(func(o *resp.Options) { o.OperationTimeout = 100 * time.Millisecond })
	eventually.True(t, "served", func() bool { return set(c) == nil })
	sleeper := s.client(nil)
	awake, asleep := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asleep)
		for {
			select {
			case <-awake:
				return
			default:
				_, _ = sleeper.Do(bg, "DEBUG", "SLEEP", "0.4")
			}
		}
	}()
	eventually.True(t, "slow", func() bool {
		err := get(c)
		return errors.Is(err, resp.ErrAmbiguous) || errors.Is(err, resp.ErrNotSent)
	})
	close(awake)
	<-asleep
	eventually.True(t, "fast", func() bool { return get(c) == nil })
}

func TestAServerThatIsKilledAndRestarted(t *testing.T) {
	s := startServer(t)
	c := s.client(nil)
	for i := 0; i < 10; i++ {
		if err := set(c); err != nil {
			t.Fatal(err)
		}
	}
	s.Kill()
	if err := get(c); !errors.Is(err, resp.ErrNotSent) && !errors.Is(err, resp.ErrAmbiguous) {
		t.Errorf("J1 %v", err)
	}
	s.Start()
	eventually.True(t, "served again", func() bool { return c.Ping(bg) == nil })
	if _, err := c.Get(bg, "k"); !errors.Is(err, resp.ErrNil) {
		t.Errorf("data survived: %v", err)
	}
}

func TestConnectionsKilledByTheServerCostNoOperation(t *testing.T) {
	s := startServer(t)
	c := s.client(nil)
	admin := s.client(func(o *resp.Options) { o.PoolSize = 1 })
	for i := 0; i < 100; i++ {
		if err := set(c); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		do(t, admin, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		if err := get(c); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestDatabasesAndSocketsOfARealServer(t *testing.T) {
	s := startServer(t)
	one := s.client(func(o *resp.Options) { o.DB = 1; o.ClientName = "traefikoidc" })
	sock := s.client(func(o *resp.Options) { o.Network, o.Address = "unix", s.Socket })
	if err := set(one); err != nil {
		t.Fatal(err)
	}
	if _, err := sock.Get(bg, "k"); !errors.Is(err, resp.ErrNil) {
		t.Errorf("J7 database 0 sees database 1: %v", err)
	}
	if list := string(do(t, sock, "CLIENT", "LIST").Str); !strings.Contains(list, "name=traefikoidc") {
		t.Errorf("the name is not shown: %s", list)
	}
	if err := set(s.client(func(o *resp.Options) { o.DB = 99 })); !errors.Is(err, resp.ErrTerminal) {
		t.Errorf("no such database: %v", err)
	}
}

func TestScriptsOnARealServer(t *testing.T) {
	s := startServer(t)
	c := s.client(nil)
	script := resp.NewScript("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0", true, compareAndDelete{})
	locked := s.client(func(o *resp.Options) { o.Username, o.Password = "app", "pw" })
	do(t, c, "ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-@scripting")
	for _, from := range []*resp.Client{c, locked} {
		for _, row := range []struct {
			owner string
			n     int64
		}{{"other", 0}, {"me", 1}, {"me", 0}} {
			if row.owner != "me" || row.n == 1 {
				do(t, c, "SET", "lock", "me")
			}
			r, err := from.Eval(bg, script, []string{"lock"}, []string{row.owner})
			if err != nil || r.Int != row.n {
				t.Errorf("%s: %+v, %v", row.owner, r, err)
			}
		}
	}
	do(t, c, "SCRIPT", "FLUSH")
	if _, err := c.Eval(bg, script, []string{"lock"}, []string{"me"}); err != nil {
		t.Errorf("after SCRIPT FLUSH: %v", err)
	}
}

type compareAndDelete struct{}

func (compareAndDelete) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	if string(values[0]) != args[0] {
		return nil, resp.Reply{Kind: resp.Int}, nil
	}
	return []resp.Command{{"DEL", "lock"}}, resp.Reply{Kind: resp.Int, Int: 1}, nil
}

func TestSetNXOfManyClientsHasOneWinner(t *testing.T) {
	s := startServer(t)
	clients := []*resp.Client{s.client(nil), s.client(nil)}
	admin := s.client(func(o *resp.Options) { o.PoolSize = 1 })
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Add(1)
	go func() {
		defer killer.Done()
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
				_, _ = admin.Do(bg, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			}
		}
	}()
	for round := 0; round < 100; round++ {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won, failed := 0, 0
		for i := 0; i < 8; i++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				ok, err := clients[i%2].SetNX(bg, fmt.Sprint("j:", round), []byte(fmt.Sprint("owner ", i)), time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if ok {
					won++
				}
				if err != nil {
					failed++
				}
			}()
		}
		wg.Wait()
		if won > 1 || won == 0 && failed == 0 {
			t.Fatalf("J14 round %d: %d won, %d failed", round, won, failed)
		}
	}
	close(stop)
	killer.Wait()
}

// Package resp_test tries the client of package resp against real servers,
// other clients, and the interpreter.
package resp_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

var bg = context.Background()

// A server is a redis-server process.
type server struct {
	*redistest.Server
	t    testing.TB
	dir  string
	port string
}

// startServer starts a redis-server on a free loopback port, in a directory of
// its own. It ends with the test.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := prepareServer(t, args...)
	s.start()
	return s
}

func prepareServer(t testing.TB, args ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--unixsocket", filepath.Join(dir, "redis.sock"), "--enable-debug-command", "yes"}, args...)
	r, err := redistest.New(redistest.Options{Dir: dir, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: r, t: t, dir: dir}
	_, s.port, _ = net.SplitHostPort(r.Address())
	t.Cleanup(func() {
		r.Kill()
		_ = os.RemoveAll(dir)
	})
	return s
}

// start starts the process and waits until it serves.
func (s *server) start() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) addr() string { return s.Address() }

func (s *server) kill() { s.Kill() }

func (s *server) signal(sig syscall.Signal) {
	if err := s.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// forever is no limit to a test: what must end within a limit of its own would not
// end by this one.
const forever = time.Hour

// client returns a client of s to which no machine is too slow, with what change
// makes of the options.
func (s *server) client(change func(*resp.Options)) *resp.Client {
	o := resp.Options{
		Address: s.addr(), OperationTimeout: forever, ReadTimeout: forever, WriteTimeout: forever, PoolTimeout: forever, DialTimeout: forever,
	}
	if change != nil {
		change(&o)
	}
	c := resp.NewClient(o)
	s.t.Cleanup(c.Close)
	return c
}

// do carries out a command that must succeed.
func do(t testing.TB, c *resp.Client, args ...string) resp.Reply {
	t.Helper()
	r, err := c.Do(bg, args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return r
}

// Package resp_test tries the client of package resp against real servers,
// other clients, and the interpreter.
package resp_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
)

var bg = context.Background()

// A server is a redis-server process.
type server struct {
	t    testing.TB
	dir  string
	port string
	args []string
	cmd  *exec.Cmd
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
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is needed: apt-get install redis-server")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir, port: port, args: args}
	t.Cleanup(func() {
		s.kill()
		_ = os.RemoveAll(dir)
	})
	return s
}

// start starts the process and waits until it accepts connections.
func (s *server) start() {
	s.t.Helper()
	args := append([]string{"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no",
		"--unixsocket", filepath.Join(s.dir, "redis.sock"), "--enable-debug-command", "yes", "--loglevel", "warning"}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "redis-server accepts connections", func() bool {
		nc, err := net.Dial("tcp", s.addr())
		if err != nil {
			return false
		}
		_ = nc.Close()
		return true
	})
}

func (s *server) addr() string { return "127.0.0.1:" + s.port }

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_, _ = s.cmd.Process.Wait()
		s.cmd = nil
	}
}

func (s *server) signal(sig syscall.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// client returns a client of s, with what change makes of the options.
func (s *server) client(change func(*resp.Options)) *resp.Client {
	o := resp.Options{Address: s.addr(), OperationTimeout: 2 * time.Second}
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

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

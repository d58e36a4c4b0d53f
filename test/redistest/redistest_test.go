package redistest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// ask sends a command in one line and returns the beginning of the answer.
func ask(t *testing.T, s *Server, command string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, command+"\r\n"); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 64)
	n, err := c.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(reply[:n]))
}

func TestServer(t *testing.T) {
	dir := t.TempDir()
	s, err := New(Options{Dir: dir})
	if errors.Is(err, ErrNotFound) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	start := func(args ...string) {
		t.Helper()
		if err := s.Start(soon(t), args...); err != nil {
			t.Fatal(err)
		}
	}
	start("--appendonly", "yes", "--appendfsync", "always")
	address := s.Address()
	if got := ask(t, s, "SET a 1"); got != "+OK" || !s.Running() {
		t.Fatalf("SET: %s", got)
	}
	s.Kill()
	if s.Running() || s.Signal(syscall.SIGSTOP) == nil {
		t.Fatal("it runs after it was killed")
	}

	start("--appendonly", "yes")
	if got := ask(t, s, "GET a"); !strings.Contains(got, "1") || s.Address() != address {
		t.Errorf("with its data, at %s: %q", s.Address(), got)
	}
	if err := s.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.Kill() // one that was stopped ends too

	start()
	if got := ask(t, s, "GET a"); got != "$-1" {
		t.Errorf("without its data: %q", got)
	}
	s.Kill()
	if files, _ := filepath.Glob(filepath.Join(dir, "*.rdb")); len(files) > 0 {
		t.Errorf("a dump is left: %v", files)
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	s, err := New(Options{Dir: filepath.Join(os.TempDir(), "there", "is", "none")})
	if errors.Is(err, ErrNotFound) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(soon(t)); err == nil || s.Running() || !strings.Contains(err.Error(), "No such file") {
		t.Errorf("started in a folder that is not there: %v", err)
	}
}

func TestAFixture(t *testing.T) {
	if _, err := New(Options{}); errors.Is(err, ErrNotFound) {
		t.Skip(err)
	}
	dir := ""
	t.Run("of a test", func(t *testing.T) {
		f := Run(t, "--appendonly", "yes", "--appendfsync", "always")
		dir = f.Dir
		f.Do("SET", "a", "1")
		before := f.Address()
		f.Kill()
		f.Change(func(o *Options) { o.Port = 0 })
		f.Start()
		if got := f.Do("GET", "a").Str; string(got) != "1" || f.Address() == before || !strings.HasSuffix(f.Address(), ":"+f.Port()) {
			t.Errorf("at %s, before at %s: %q", f.Address(), before, got)
		}
	})
	if _, err := os.Stat(dir); dir == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder %q is left: %v", dir, err)
	}
}

func TestAFixtureWithAConfiguration(t *testing.T) {
	if _, err := New(Options{}); errors.Is(err, ErrNotFound) {
		t.Skip(err)
	}
	f := Prepare(t, Options{Config: []string{"maxclients 77"}})
	f.Start()
	if got, err := f.Do("CONFIG", "GET", "maxclients").Strings(); err != nil || len(got) != 2 || got[1] != "77" {
		t.Errorf("%q, %v", got, err)
	}
}

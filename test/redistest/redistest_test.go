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

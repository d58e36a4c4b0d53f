package replicas

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
)

// server is a redis-server on a loopback port and in a directory of its own. It
// keeps both when it is started again.
type server struct {
	t       testing.TB
	address string
	socket  string
	dir     string
	args    []string
	process *exec.Cmd
	ended   chan struct{}
	admin   *resp.Client // of the test itself, by the unix socket
}

// startServer starts a redis-server that ends with the test.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := newServer(t, args...)
	s.start()
	return s
}

// newServer is a server that does not run yet.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("these tests need redis-server in the PATH (Debian's package redis-server)")
	}
	dir, err := os.MkdirTemp("", "redis-")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, address: freeAddress(t), socket: filepath.Join(dir, "s"), dir: dir, args: args}
	s.admin = resp.NewClient(resp.Options{Network: "unix", Address: s.socket, PoolSize: 4, OperationTimeout: patience, ReadTimeout: patience, WriteTimeout: patience})
	t.Cleanup(func() {
		s.admin.Close()
		s.kill()
		os.RemoveAll(dir)
	})
	return s
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.address)
	return port
}

func (s *server) start() {
	s.t.Helper()
	os.Remove(s.socket)
	all := []string{"--port", s.port(), "--bind", "127.0.0.1", "--unixsocket", s.socket, "--dir", s.dir, "--save", "", "--daemonize", "no", "--loglevel", "warning"}
	s.process = exec.Command("redis-server", append(all, s.args...)...)
	s.ended = make(chan struct{})
	started := make(chan error)
	go own(s.process, started, s.ended)
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	eventually.True(s.t, "redis-server answers", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r, err := s.admin.Do(ctx, "PING")
		return err == nil && r.Err() == nil
	})
}

// own runs p from a thread that lives as long as p: the kernel ends a child with
// the thread that started it, and so also with this program.
func own(p *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started <- p.Start()
	_ = p.Wait()
	close(ended)
}

// kill ends the server as kill -9 does.
func (s *server) kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGCONT)
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// do runs a command for the test itself.
func (s *server) do(args ...string) resp.Reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := s.admin.Do(ctx, args...)
	if err != nil {
		s.t.Fatalf("%s: %v", args[0], err)
	}
	return r
}

// keys are the keys of a database that match the pattern.
func (s *server) keys(db int, pattern string) []string {
	s.t.Helper()
	r := s.do("EVAL", "redis.call('SELECT', ARGV[1]) return redis.call('KEYS', ARGV[2])", "0", strconv.Itoa(db), pattern)
	keys, err := r.Strings()
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}

// sessions is how many live sessions there are under a prefix: a sign-out leaves a
// record too.
func (s *server) sessions(prefix string) int {
	s.t.Helper()
	const script = `local n = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  if string.byte(redis.call('GET', key), 3) == 1 then n = n + 1 end
end
return n`
	return int(s.do("EVAL", script, "0", prefix+":s:*").Int)
}

// info is a number of INFO; zero where there is none.
func (s *server) info(section, field string) int {
	s.t.Helper()
	_, after, _ := strings.Cut(string(s.do("INFO", section).Str), field)
	n, i := 0, 0
	for ; i < len(after) && after[i] >= '0' && after[i] <= '9'; i++ {
		n = n*10 + int(after[i]-'0')
	}
	return n
}

// calls is how often a command was called.
func (s *server) calls(command string) int {
	s.t.Helper()
	return s.info("commandstats", "cmdstat_"+command+":calls=")
}

// clients is what CLIENT LIST says of the plugin's connections: those that carry
// commands, and those that listen for changes.
func (s *server) clients() (pooled, listening []map[string]string) {
	s.t.Helper()
	for _, line := range strings.Split(string(s.do("CLIENT", "LIST").Str), "\n") {
		c := map[string]string{}
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			c[name] = value
		}
		if c["name"] != "traefikoidc" {
			continue
		}
		if strings.Contains(c["flags"], "t") {
			listening = append(listening, c)
		} else {
			pooled = append(pooled, c)
		}
	}
	return pooled, listening
}

// patience is how long something may take that is not a matter of speed, on a machine
// that is busy with other things.
const patience = time.Minute

// never fails the test when f becomes true within d.
func never(t testing.TB, what string, d time.Duration, f func() bool) {
	t.Helper()
	if eventually.Within(d, f) {
		t.Fatal(what)
	}
}

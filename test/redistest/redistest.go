// Package redistest runs a real redis-server, for the tests and the demo: it is
// killed, stopped and started again, on the port and in the folder that it had.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/freeport"
)

// ErrNotFound is returned when there is no redis-server to run.
var ErrNotFound = errors.New("redistest: no redis-server on PATH: install Debian's package redis-server")

// Options describe a server. It keeps nothing on disk unless Args require it.
type Options struct {
	Dir    string   // an existing folder for the files that Args have it write
	Port   int      // of the loopback; zero: a free one
	Socket string   // the path of a unix socket at which it listens too; empty: none
	Args   []string // added to its command line
	Config []string // the lines of its configuration file, which a sentinel needs; nil: none
}

// A Server is a redis-server that may run or not. It is safe for concurrent use.
type Server struct {
	binary string

	mu      sync.Mutex // guards the fields below
	options Options
	process *exec.Cmd // nil: it does not run
	ended   chan struct{}
	output  *output // nil: it never ran
}

// New is a server that does not run yet.
func New(o Options) (*Server, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrNotFound
	}
	s := &Server{options: o, binary: binary}
	if o.Config != nil {
		// A sentinel changes its file later. So the file is written once.
		if err := os.WriteFile(s.file(), []byte(strings.Join(o.Config, "\n")+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("redistest: %w", err)
		}
	}
	if err := s.Change(func(*Options) {}); err != nil {
		return nil, err
	}
	return s, nil
}

// Change changes the options for the next start. A port of zero becomes a free one.
func (s *Server) Change(change func(*Options)) error {
	s.mu.Lock()
	o := s.options
	s.mu.Unlock()
	change(&o) // may ask for the address
	if o.Port == 0 {
		var err error
		if o.Port, err = freeport.Get(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = o
	return nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Address returns the address at which it listens when it runs.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return address(s.options.Port)
}

func (s *Server) file() string { return filepath.Join(s.options.Dir, "redis.conf") }

// Start runs the process, with args after those of the options, and returns when
// it answers. A server that runs is left alone.
func (s *Server) Start(ctx context.Context, args ...string) error {
	if err := s.Launch(args...); err != nil {
		return err
	}
	if err := s.Await(ctx); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// Launch is Start without the wait. On Linux the process is killed if this one
// dies without doing so.
func (s *Server) Launch(args ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runsLocked() {
		return nil
	}
	all := []string{
		"--port", strconv.Itoa(s.options.Port), "--bind", "127.0.0.1", "--dir", s.options.Dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning",
	}
	if s.options.Socket != "" {
		_ = os.Remove(s.options.Socket)
		all = append(all, "--unixsocket", s.options.Socket)
	}
	if s.options.Config != nil {
		all = append([]string{s.file()}, all...)
	}
	cmd := exec.Command(s.binary, append(append(all, s.options.Args...), args...)...)
	cmd.SysProcAttr = childAttributes()
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	started, ended := make(chan error, 1), make(chan struct{})
	go own(cmd, started, ended)
	if err := <-started; err != nil {
		return fmt.Errorf("redistest: start: %w", err)
	}
	s.process, s.ended, s.output = cmd, ended, said
	return nil
}

// Await returns when the server answers a command, be it that it wants a password.
func (s *Server) Await(ctx context.Context) error {
	var last error
	for ctx.Err() == nil {
		if !s.Running() {
			return fmt.Errorf("redistest: redis-server has ended: %s", s.said())
		}
		var reply string
		if reply, last = s.ping(); last == nil {
			if strings.HasPrefix(reply, "+PONG") || strings.HasPrefix(reply, "-NOAUTH") {
				return nil
			}
			last = fmt.Errorf("it answers %q", reply)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("redistest: redis-server does not serve: %w: %v", ctx.Err(), last)
}

func (s *Server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.output == nil {
		return "it was not started"
	}
	return s.output.text()
}

func (s *Server) ping() (string, error) {
	network, where := s.door()
	c, err := net.DialTimeout(network, where, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return "", err
	}
	reply := make([]byte, 64)
	n, err := c.Read(reply)
	return strings.TrimSpace(string(reply[:n])), err
}

// door returns the address for a PING. The port may be for TLS only.
func (s *Server) door() (network, where string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.Socket != "" {
		return "unix", s.options.Socket
	}
	return "tcp", address(s.options.Port)
}

// Running reports whether the process runs.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runsLocked()
}

func (s *Server) runsLocked() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process, if it runs.
func (s *Server) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.runsLocked() {
		return errors.New("redistest: redis-server does not run")
	}
	return s.process.Process.Signal(sig)
}

// Kill ends the process as kill -9 does, also where it was stopped, and returns
// when it is gone.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// An output is the beginning of the output of a process. It says why the process does
// not start.
type output struct {
	mu   sync.Mutex // guards kept
	kept []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := 4<<10 - len(o.kept); room >= len(p) {
		o.kept = append(o.kept, p...)
	}
	return len(p), nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.kept)
}

// run sends the result of the start of p, and closes ended when p has ended.
func run(p *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	defer close(ended)
	err := p.Start()
	started <- err
	if err == nil {
		_ = p.Wait()
	}
}

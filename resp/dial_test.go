package resp

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

func TestHandshake(t *testing.T) {
	rows := []struct {
		name    string
		change  func(*Options)
		prepare func(*resptest.Server)
		want    error
		sent    string
	}{
		{"no options", nil, nil, nil, "HELLO 2"},
		{"all in one round trip", func(o *Options) { o.Username, o.Password, o.DB, o.ClientName = "app", "pw", 3, "me" },
			func(s *resptest.Server) { s.Require("app", "pw") }, nil, "HELLO 2 AUTH app pw|SELECT 3|CLIENT SETNAME me"},
		{"only a password", func(o *Options) { o.Password = "pw" },
			func(s *resptest.Server) { s.Require("default", "pw") }, nil, "HELLO 2 AUTH default pw"},
		{"older than HELLO", func(o *Options) { o.Password, o.DB = "pw", 1 },
			func(s *resptest.Server) {
				s.Require("default", "pw")
				s.Inject(resptest.Fault{Command: "HELLO", Reply: "-ERR unknown command 'HELLO'\r\n"})
			}, nil, "HELLO 2 AUTH default pw|SELECT 1|AUTH pw|SELECT 1"},
		{"older than HELLO, without password", nil,
			func(s *resptest.Server) {
				s.Inject(resptest.Fault{Command: "HELLO", Reply: "-ERR unknown command 'HELLO'\r\n"})
			}, nil, "HELLO 2|PING"},
		{"wrong password", func(o *Options) { o.Password = "no" },
			func(s *resptest.Server) { s.Require("default", "pw") }, ErrWrongPass, "HELLO 2 AUTH default no"},
		{"no password where one is required", nil,
			func(s *resptest.Server) { s.Require("default", "pw") }, ErrNoAuth, "HELLO 2"},
		{"no such database", func(o *Options) { o.DB = 99 }, nil, ErrHandshake, "HELLO 2|SELECT 99"},
		{"a password where none is configured", func(o *Options) { o.Password = "pw" }, nil, ErrHandshake, "HELLO 2 AUTH default pw|AUTH pw"},
		{"name refused", func(o *Options) { o.ClientName = "me" },
			func(s *resptest.Server) { s.Inject(resptest.Fault{Command: "CLIENT", Reply: "-NOPERM x\r\n"}) }, nil, "HELLO 2|CLIENT SETNAME me"},
		{"protected mode", nil,
			func(s *resptest.Server) {
				s.Inject(resptest.Fault{Command: "HELLO", Reply: "-DENIED Redis is running in protected mode\r\n"})
			}, ErrDenied, "HELLO 2"},
		{"loading", nil, func(s *resptest.Server) { s.Refuse("LOADING x") }, ErrLoading, ""},
		{"one reply too many", nil,
			func(s *resptest.Server) { s.Inject(resptest.Fault{Command: "HELLO", Extra: "+OK\r\n", Times: 1}) }, nil, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s, c := start(t, func(o *Options) {
				o.MaxRetries = 1
				if row.change != nil {
					row.change(o)
				}
			})
			if row.prepare != nil {
				row.prepare(s)
			}
			_, err := c.Exists(bg, "k")
			if !errors.Is(err, row.want) {
				t.Errorf("error %v", err)
			}
			var sent []string
			for _, args := range s.Commands() {
				if args[0] != "EXISTS" {
					sent = append(sent, strings.Join(args, " "))
				} else {
					break
				}
			}
			if n := len(sent); n > 0 && strings.HasPrefix(sent[n-1], "PING ") {
				sent = sent[:n-1] // the proof that the first connection learns
			}
			if got := strings.Join(sent, "|"); row.sent != "" && got != row.sent {
				t.Errorf("sent %s", got)
			}
			if row.want == nil && c.Stats().Pool.Open != 1 {
				t.Errorf("%+v", c.Stats().Pool)
			}
		})
	}
}

func TestTooManyClientsIsNotSent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(nc, "-ERR max number of clients reached\r\n")
			_ = nc.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, nc)
			_ = nc.Close()
		}
	}()
	o := patient(ln.Addr().String())
	o.MaxRetries = -1
	c := NewClient(o)
	defer c.Close()
	if err := c.Ping(bg); !errors.Is(err, ErrMaxClients) || !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	if p := c.Stats().Pool; p.Open != 0 {
		t.Errorf("%+v", p)
	}
}

// pipe connects every connection to ln with the server.
func pipe(ln net.Listener, s *resptest.Server) {
	for {
		from, err := ln.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", s.Addr())
		if err != nil {
			_ = from.Close()
			continue
		}
		go copyAll(to, from)
		go copyAll(from, to)
	}
}

func copyAll(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

func TestUnixSocket(t *testing.T) {
	s := resptest.Start(t)
	path := filepath.Join(t.TempDir(), "redis.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go pipe(ln, s)
	o := patient(path)
	o.Network = "unix"
	c := NewClient(o)
	defer c.Close()
	if err := c.Set(bg, "k", []byte("v"), time.Minute); err != nil {
		t.Error(err)
	}
}

func TestConnectionsOfTheCallersDialling(t *testing.T) {
	s := resptest.Start(t)
	o := patient("nowhere:1")
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if network != "tcp" || address != "nowhere:1" {
			t.Errorf("asked for %s %s", network, address)
		}
		if _, ends := ctx.Deadline(); !ends {
			t.Error("DialTimeout does not bound it")
		}
		return net.Dial("tcp", s.Addr())
	}
	c := NewClient(o)
	defer c.Close()
	if err := c.Ping(bg); err != nil {
		t.Error(err)
	}
	failing := errors.New("no way")
	o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, failing }
	f := NewClient(o)
	defer f.Close()
	if err := f.Ping(bg); !errors.Is(err, ErrNotSent) || !errors.Is(err, failing) {
		t.Errorf("got %v", err)
	}
}

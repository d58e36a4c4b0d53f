package redistest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/freeport"
	"github.com/traefikoidc/traefikoidc/resp"
)

// patience is how long a fixture waits for the server, on a machine that may be busy.
const patience = time.Minute

// A Fixture is a server of a test. It ends with the test, and its methods fail the test
// where they fail. The server listens at a unix socket too.
type Fixture struct {
	Dir    string       // has all files of the server; removed at the end
	Socket string       // the path of its unix socket
	Admin  *resp.Client // of the test itself, at the unix socket

	t      testing.TB
	server *Server
}

// Run returns a server that runs, with args added to its command line.
func Run(t testing.TB, args ...string) *Fixture {
	t.Helper()
	f := Prepare(t, Options{Args: args})
	f.Start()
	return f
}

// Prepare returns a server that does not run yet. It makes the folder and the socket
// of o. The test fails where there is no
// redis-server.
func Prepare(t testing.TB, o Options) *Fixture {
	t.Helper()
	// The folder of the test would be too long a path for a socket.
	dir, err := os.MkdirTemp("", "redis-")
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Socket = dir, filepath.Join(dir, "socket")
	f := &Fixture{Dir: dir, Socket: o.Socket, t: t}
	t.Cleanup(f.end)
	if f.server, err = New(o); err != nil {
		t.Fatal(err)
	}
	f.Admin = resp.NewClient(resp.Options{
		Network: "unix", Address: o.Socket, Node: true, PoolSize: 4,
		OperationTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
	})
	return f
}

func (f *Fixture) end() {
	if f.Admin != nil {
		f.Admin.Close()
	}
	if f.server != nil {
		f.server.Kill()
	}
	_ = os.RemoveAll(f.Dir)
}

// Start starts the server, with args for this time only, and returns when it answers.
func (f *Fixture) Start(args ...string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.server.Start(ctx, args...); err != nil {
		f.t.Fatal(err)
	}
}

// Launch is Start without the wait.
func (f *Fixture) Launch(args ...string) {
	f.t.Helper()
	if err := f.server.Launch(args...); err != nil {
		f.t.Fatal(err)
	}
}

// Kill ends the server as kill -9 does. Start starts it again, with its files and at
// its address.
func (f *Fixture) Kill() { f.server.Kill() }

// Signal sends a signal to the server, which must run.
func (f *Fixture) Signal(sig syscall.Signal) {
	f.t.Helper()
	if err := f.server.Signal(sig); err != nil {
		f.t.Fatal(err)
	}
}

// Change changes the options for the next start.
func (f *Fixture) Change(change func(*Options)) {
	f.t.Helper()
	if err := f.server.Change(change); err != nil {
		f.t.Fatal(err)
	}
}

// Address returns the address at which it listens when it runs.
func (f *Fixture) Address() string { return f.server.Address() }

// Port returns the port of Address.
func (f *Fixture) Port() string {
	_, port, _ := net.SplitHostPort(f.server.Address())
	return port
}

// Do carries out a command of the test itself. It sends the command again if the
// connection fails.
func (f *Fixture) Do(args ...string) resp.Reply {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		r, err := f.Admin.Do(ctx, args...)
		if err == nil {
			return r
		}
		if ctx.Err() != nil {
			f.t.Fatalf("%s: %v", args[0], err)
		}
		time.Sleep(time.Millisecond)
	}
}

// FreeAddress returns an address of the loopback at which nothing listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	return address(port)
}

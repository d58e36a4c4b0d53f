// Package resp_test tries the client of package resp against real servers,
// other clients, and the interpreter.
package resp_test

import (
	"context"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

var bg = context.Background()

// A server is a redis-server process of a test.
type server struct {
	*redistest.Fixture
	t testing.TB
}

// startServer starts a redis-server that ends with the test.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := prepareServer(t, redistest.Options{Args: args})
	s.Start()
	return s
}

func prepareServer(t testing.TB, o redistest.Options) *server {
	t.Helper()
	o.Args = append([]string{"--enable-debug-command", "yes"}, o.Args...)
	return &server{Fixture: redistest.Prepare(t, o), t: t}
}

// forever is a limit that no test reaches. An operation that ends did not end by it.
const forever = time.Hour

// client returns a client of s for which no machine is too slow. change changes its
// options.
func (s *server) client(change func(*resp.Options)) *resp.Client {
	o := resp.Options{
		Address: s.Address(), OperationTimeout: forever, ReadTimeout: forever, WriteTimeout: forever, PoolTimeout: forever, DialTimeout: forever,
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

// Command demo shows traefikoidc at work: a Traefik with the plugin from these
// sources, a provider where one picks a person, and a backend that shows what it
// receives. "make demo" runs it; Ctrl-C ends it and leaves nothing behind.
//
// DEMO_PORT and DEMO_PROVIDER_PORT choose other ports than 8080 and 9000,
// TRAEFIK another Traefik than the one on PATH.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/traefikoidc/traefikoidc/internal/traefiktest"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run returns when ctx ends, or with the reason why the demo cannot go on.
func run(ctx context.Context) error {
	d, err := open(".")
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	fmt.Print(d.instructions())
	select {
	case <-ctx.Done():
		fmt.Println("\nStopping.")
		return nil
	case <-d.traefik.Done():
		return traefiktest.ErrEnded
	}
}

// port is the port that a variable names, where nothing listens yet.
func port(variable string, normal int) (int, error) {
	port := normal
	if s := os.Getenv(variable); s != "" {
		var err error
		if port, err = strconv.Atoi(s); err != nil || port < 1 || port > 65535 {
			return 0, fmt.Errorf("%s is not a port", variable)
		}
	}
	l, err := net.Listen("tcp", loopback(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("port %d is taken: end what listens there, or choose another: %s=%d make demo", port, variable, port+10)
	}
	if err != nil {
		return 0, fmt.Errorf("port %d: %w", port, err)
	}
	return port, l.Close()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

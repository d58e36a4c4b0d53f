// Command demo runs a demonstration of traefikoidc. It starts a Traefik with the plugin
// from these sources, a provider with a page to choose a user, and a backend. The backend
// shows the requests it receives. "make demo" runs it. Ctrl-C ends it and removes its files. With "make demo
// REPLICAS=2" there are two Traefiks with one Redis, and the demo reads commands from its
// standard input.
//
// DEMO_PORT and DEMO_PROVIDER_PORT set other ports than 8080 and 9000. Further replicas
// use the ports after DEMO_PORT. TRAEFIK sets another Traefik than the one on PATH.
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

// run runs the demo until ctx ends. It returns an error if the demo cannot continue.
func run(ctx context.Context) error {
	replicas, err := number("REPLICAS", 1, 9)
	if err != nil {
		return err
	}
	d, err := open(".", replicas)
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
	var typed <-chan string
	if replicas > 1 {
		typed = lines(os.Stdin)
	}
	for {
		select {
		case <-ctx.Done():
			fmt.Println("\nStopping.")
			return nil
		case <-d.ended:
			return traefiktest.ErrEnded
		case line := <-typed:
			message, err := d.execute(ctx, line)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err == nil && message != "" {
				fmt.Println(message)
			}
		}
	}
}

// number returns the value of a variable, from 1 to most; byDefault if it is not set.
func number(variable string, byDefault, most int) (int, error) {
	s := os.Getenv(variable)
	if s == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s must be a number from 1 to %d", variable, most)
	}
	return n, nil
}

// checkFree fails if another process listens on the port. The error proposes another
// port for the variable.
func checkFree(variable string, port, other int) error {
	l, err := net.Listen("tcp", loopback(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is in use; end the process that listens on it, or choose another port: %s=%d make demo", port, variable, other)
	}
	if err != nil {
		return fmt.Errorf("port %d: %w", port, err)
	}
	return l.Close()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

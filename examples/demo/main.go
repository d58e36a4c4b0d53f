// Command demo shows traefikoidc at work: a Traefik with the plugin from these
// sources, a provider where one picks a person, and a backend that shows what it
// receives. "make demo" runs it; Ctrl-C ends it and leaves nothing behind. With
// "make demo REPLICAS=2" there are two Traefiks, which share a Redis, and it
// obeys what is typed.
//
// DEMO_PORT and DEMO_PROVIDER_PORT choose other ports than 8080 and 9000,
// TRAEFIK another Traefik than the one on PATH. Further replicas take the ports
// after the first one's.
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
			said, err := d.obey(ctx, line)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err == nil && said != "" {
				fmt.Println(said)
			}
		}
	}
}

// number is what a variable says, from 1 to most; normal where it is not set.
func number(variable string, normal, most int) (int, error) {
	s := os.Getenv(variable)
	if s == "" {
		return normal, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s is a number from 1 to %d", variable, most)
	}
	return n, nil
}

// free is nil if nothing listens on the port; other is one to choose instead, by
// the variable.
func free(variable string, port, other int) error {
	l, err := net.Listen("tcp", loopback(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is taken: end what listens there, or choose another: %s=%d make demo", port, variable, other)
	}
	if err != nil {
		return fmt.Errorf("port %d: %w", port, err)
	}
	return l.Close()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

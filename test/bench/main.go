// Command bench measures traefikoidc in a real Traefik beside no plugin and a
// plugin that does nothing, in one run, so that the ratios count and not the
// machine. It needs wrk and a Traefik.
//
//	bench requests   requests per second, interleaved rounds
//	bench startup    how long Traefik takes until it serves
//	bench reload     configuration changes under traffic; with -routers N, the cost of
//	                 one change for each of N routers, without traffic
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// A plan says how much is measured.
type plan struct {
	Rounds  int           // of requests and of starts
	Round   time.Duration // the length of a round of requests
	Reloads int
	Routers int           // more than 1: the routers of each subject, and no traffic
	Settle  time.Duration // how long goroutines and memory may take to go after the reloads
}

func main() {
	var p plan
	flag.IntVar(&p.Rounds, "rounds", 5, "interleaved rounds")
	flag.DurationVar(&p.Round, "round", 3*time.Second, "length of a round of requests")
	flag.IntVar(&p.Reloads, "reloads", 40, "configuration changes")
	flag.IntVar(&p.Routers, "routers", 1, "routers of each plugin; with more than 1, reload has no traffic and prints the cost for each router")
	flag.DurationVar(&p.Settle, "settle", 75*time.Second, "longest wait for goroutines and memory to go after the changes")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	for _, name := range flag.Args() {
		if err := measure(ctx, name, p); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", name, err)
			os.Exit(1)
		}
		fmt.Println()
	}
}

func measure(ctx context.Context, name string, p plan) error {
	switch name {
	case "requests":
		return requests(ctx, p)
	case "startup":
		return startup(ctx, p)
	case "reload":
		if p.Routers > 1 {
			return routers(ctx, p)
		}
		return reload(ctx, p)
	}
	return fmt.Errorf("no such measurement; there are requests, startup and reload")
}

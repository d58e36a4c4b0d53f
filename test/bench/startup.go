package main

import (
	"context"
	"fmt"
)

// startup measures the time from Traefik's start until it serves, and prints it.
func startup(ctx context.Context, p plan) error {
	subjects := []subject{plain, noop, ours}
	seconds := make([][]float64, len(subjects))
	computed := make([][]float64, len(subjects))
	fmt.Printf("seconds until Traefik serves: %d starts each, interleaved\n", p.Rounds)
	for range p.Rounds {
		for i, s := range subjects {
			g, err := newRig(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			seconds[i] = append(seconds[i], g.started.Seconds())
			computed[i] = append(computed[i], g.cpu().Seconds())
			g.close()
		}
	}
	for i, s := range subjects {
		fmt.Printf("  %-14s", s.Name)
		for _, t := range seconds[i] {
			fmt.Printf(" %6.2f", t)
		}
		fmt.Printf("   median %6.2f   more than no-op %+.2f   Traefik computes %.2f\n",
			median(seconds[i]), median(differences(seconds[i], seconds[1])), median(computed[i]))
	}
	fmt.Println("  wanted: traefikoidc less than 0.40 more than no-op")
	return nil
}

// differences subtracts base from the values of each round.
func differences(values, base []float64) []float64 {
	var out []float64
	for i := range values {
		out = append(out, values[i]-base[i])
	}
	return out
}

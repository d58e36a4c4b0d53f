package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// wanted is the least share of the no-op plugin's requests that ours serves.
const wanted = 0.70

// requests prints the requests per second of each subject and their ratios.
func requests(ctx context.Context, p plan) error {
	subjects := []subject{plain, noop, ours}
	g, err := newRig(ctx, subjects...)
	if err != nil {
		return err
	}
	defer g.close()
	cookie, err := g.signIn()
	if err != nil {
		return err
	}

	fmt.Printf("requests per second, signed in: wrk -c 32 -t 2, %d rounds of %v, interleaved\n", p.Rounds, p.Round)
	rates := make([][]float64, len(subjects))
	costs := make([][]float64, len(subjects))
	for n := 0; n <= p.Rounds; n++ {
		length := p.Round
		if n == 0 {
			length = time.Second // to warm up
		}
		for i, s := range subjects {
			r, err := g.measure(ctx, load{g.url(s.path()), cookie, 32, 2, length})
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			if n > 0 {
				rates[i] = append(rates[i], r.rate)
				costs[i] = append(costs[i], r.cost)
			}
		}
	}
	for i, s := range subjects {
		fmt.Printf("  %-14s", s.Name)
		for _, rate := range rates[i] {
			fmt.Printf(" %8.0f", rate)
		}
		fmt.Printf("   median %8.0f   of no-op %.2f   Traefik computes %4.0f µs each\n",
			median(rates[i]), median(ratios(rates[i], rates[1])), median(costs[i]))
	}
	fmt.Printf("  wanted: traefikoidc at least %.2f of no-op\n", wanted)
	return nil
}

// A round is what one subject did in one round.
type round struct {
	rate float64 // requests per second
	cost float64 // microseconds that Traefik computed for each
}

// measure runs one round. It counts only if each answer was the backend's.
func (g *rig) measure(ctx context.Context, l load) (round, error) {
	before, computed := g.hits.Load(), g.cpu()
	r, err := l.run(ctx)
	if err != nil {
		return round{}, err
	}
	if err := ctx.Err(); err != nil {
		return round{}, err
	}
	if reached := g.hits.Load() - before; r.Failed > 0 || reached < r.Requests {
		return round{}, fmt.Errorf("%d of %d requests failed, %d reached the backend", r.Failed, r.Requests, reached)
	}
	cost := float64((g.cpu() - computed).Microseconds()) / float64(r.Requests)
	return round{r.Rate, cost}, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratios compares round with round.
func ratios(values, base []float64) []float64 {
	var out []float64
	for i := range values {
		out = append(out, values[i]/base[i])
	}
	return out
}

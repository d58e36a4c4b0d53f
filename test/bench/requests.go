package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// wanted is the minimum of our requests per second, as a part of the no-op plugin's.
const wanted = 0.70

// A row is one line of the table: a subject with the headers of its requests.
type row struct {
	name string
	subject
	head []string
	base int // the row of the no-op plugin for the same requests
}

// browser returns the headers that Chrome sends for a page, with six cookies of the site
// beside that of the session. Traefik adds its own headers.
func browser(cookie string) []string {
	return []string{
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: en-GB,en;q=0.9", "Priority: u=0, i", `Sec-Ch-Ua: "Chromium";v="142", "Not_A Brand";v="99"`, "Sec-Ch-Ua-Mobile: ?0",
		`Sec-Ch-Ua-Platform: "Linux"`, "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none", "Upgrade-Insecure-Requests: 1",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Cookie: _ga=GA1.1.1804289383.1700000000; theme=dark; " + cookie + "; lang=en-GB; consent=a%3A1; csrf=8b5c1d; cart=3",
	}
}

// requests prints the requests per second of each subject and their ratios.
func requests(ctx context.Context, p plan) error {
	g, err := newRig(ctx, plain, noop, ours)
	if err != nil {
		return err
	}
	defer g.close()
	cookie, err := g.signIn()
	if err != nil {
		return err
	}
	cookieOnly := []string{"Cookie: " + cookie}
	rows := []row{
		{plain.Name, plain, cookieOnly, 1}, {noop.Name, noop, cookieOnly, 1}, {ours.Name, ours, cookieOnly, 1},
		{noop.Name + ", browser", noop, browser(cookie), 3}, {ours.Name + ", browser", ours, browser(cookie), 3},
	}

	fmt.Printf("requests per second, signed in: wrk -c 32 -t 2, %d rounds of %v, interleaved\n", p.Rounds, p.Round)
	rates := make([][]float64, len(rows))
	costs := make([][]float64, len(rows))
	for n := 0; n <= p.Rounds; n++ {
		length := p.Round
		if n == 0 {
			length = time.Second // to warm up
		}
		for i, x := range rows {
			r, err := g.measure(ctx, load{g.url(x.path()), x.head, 32, 2, length})
			if err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
			if n > 0 {
				rates[i] = append(rates[i], r.rate)
				costs[i] = append(costs[i], r.cost)
			}
		}
	}
	for i, x := range rows {
		fmt.Printf("  %-21s", x.name)
		for _, rate := range rates[i] {
			fmt.Printf(" %8.0f", rate)
		}
		fmt.Printf("   median %8.0f   of no-op %.2f   Traefik computes %4.0f µs each\n",
			median(rates[i]), median(ratios(rates[i], rates[x.base])), median(costs[i]))
	}
	fmt.Printf("  browser: with the headers of a page's request and six other cookies\n")
	fmt.Printf("  wanted: traefikoidc at least %.2f of no-op\n", wanted)
	return nil
}

// A round has the figures of one subject in one round.
type round struct {
	rate float64 // requests per second
	cost float64 // microseconds of CPU time of Traefik for each request
}

// measure runs one round. It fails unless every response came from the backend.
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

// ratios divides the values of each round by those of base.
func ratios(values, base []float64) []float64 {
	var out []float64
	for i := range values {
		out = append(out, values[i]/base[i])
	}
	return out
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// A reloaded has the figures of a Traefik with one subject before and after configuration
// changes under traffic.
type reloaded struct {
	traffic       result
	before, after figures
	settled       time.Duration
}

// reload measures configuration changes under traffic, for the no-op plugin and for ours,
// and prints the figures.
func reload(ctx context.Context, p plan) error {
	fmt.Printf("%d configuration changes under traffic: wrk -c 8 -t 1\n", p.Reloads)
	for _, s := range []subject{noop, ours} {
		r, err := reloadOne(ctx, s, p)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		fmt.Printf("  %-14s %d requests, %d failed; goroutines %d -> %d (%.2f), heap %.1f -> %.1f MB (%.2f), resident %.1f -> %.1f MB (%.2f); settled in %v\n",
			s.Name, r.traffic.Requests, r.traffic.Failed,
			r.before.goroutines, r.after.goroutines, float64(r.after.goroutines)/float64(r.before.goroutines),
			r.before.heap, r.after.heap, r.after.heap/r.before.heap,
			r.before.resident, r.after.resident, r.after.resident/r.before.resident,
			r.settled.Round(time.Second))
	}
	fmt.Println("  wanted: no user signed out, no request failed, growth within 5 % of no-op's")
	return nil
}

func reloadOne(ctx context.Context, s subject, p plan) (reloaded, error) {
	var r reloaded
	g, err := newRig(ctx, s)
	if err != nil {
		return r, err
	}
	defer g.close()
	cookie := ""
	if s == ours {
		if cookie, err = g.signIn(); err != nil {
			return r, err
		}
	}
	traffic := load{g.url(s.path()), []string{"Cookie: " + cookie}, 8, 1, 2 * time.Second}
	if _, err := traffic.run(ctx); err != nil { // to warm up
		return r, err
	}
	if r.before, err = g.figures(); err != nil {
		return r, err
	}
	if r.traffic, err = g.reloadUnder(ctx, traffic, p.Reloads); err != nil {
		return r, err
	}
	started := time.Now()
	for {
		if r.after, err = g.figures(); err != nil {
			return r, err
		}
		r.settled = time.Since(started)
		if r.after.near(r.before) || r.settled > p.Settle || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Second)
	}
	if s == ours {
		err = g.stillSignedIn(cookie)
	}
	return r, err
}

// near reports whether f exceeds before by a twentieth at most. The handlers of requests
// in progress are kept for a while after each change.
func (f figures) near(before figures) bool {
	return f.goroutines*100 <= before.goroutines*105 && f.heap*100 <= before.heap*105
}

// reloadUnder changes the configuration a number of times while the load runs.
func (g *rig) reloadUnder(ctx context.Context, l load, times int) (result, error) {
	l.Duration = 5 * time.Minute
	running, stop := context.WithCancel(ctx)
	defer stop()
	type outcome struct {
		result result
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		r, err := l.run(running)
		ended <- outcome{r, err}
	}()
	err := g.change(ctx, times)
	stop()
	o := <-ended
	if err != nil {
		return o.result, err
	}
	return o.result, o.err
}

// change writes one generation of the configuration after the other. Each follows when
// Traefik uses the one before.
func (g *rig) change(ctx context.Context, times int) error {
	path := g.subjects[0].path()
	for n := 1; n <= times; n++ {
		if err := g.configure(n); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		err := g.traefik.Await(limited, g.url(fmt.Sprintf("%s/generation/%d", path, n)))
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *rig) stillSignedIn(cookie string) error {
	req, err := http.NewRequest(http.MethodGet, g.url(ours.path()), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Cookie", cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the session is gone: status %d", resp.StatusCode)
	}
	return nil
}

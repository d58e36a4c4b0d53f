package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A load describes the requests that wrk sends to one address.
type load struct {
	URL         string
	Head        []string // header lines
	Connections int
	Threads     int
	Duration    time.Duration
}

// A result has the counts of wrk.
type result struct {
	Requests int64
	Rate     float64 // requests per second
	Failed   int64   // responses with status 400 and above, and socket errors
}

func (l load) command(ctx context.Context) *exec.Cmd {
	args := []string{
		"-c", strconv.Itoa(l.Connections), "-t", strconv.Itoa(l.Threads),
		"-d", strconv.Itoa(int(l.Duration/time.Second)) + "s", "--timeout", "10s",
	}
	for _, line := range l.Head {
		args = append(args, "-H", line)
	}
	cmd := exec.CommandContext(ctx, "wrk", append(args, l.URL)...)
	// On an interrupt, wrk prints its figures and ends.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	return cmd
}

// run sends the load for its duration or until ctx ends.
func (l load) run(ctx context.Context) (result, error) {
	cmd := l.command(ctx)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && ctx.Err() == nil {
		return result{}, fmt.Errorf("wrk: %w: %s", err, out.String())
	}
	return parse(out.String())
}

var (
	requestsLine = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	rateLine     = regexp.MustCompile(`(?m)^Requests/sec:\s*([\d.]+)`)
	statusLine   = regexp.MustCompile(`(?m)Non-2xx or 3xx responses: (\d+)`)
	socketLine   = regexp.MustCompile(`(?m)Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// parse reads the output of wrk.
func parse(text string) (result, error) {
	var r result
	counted, rate := requestsLine.FindStringSubmatch(text), rateLine.FindStringSubmatch(text)
	if counted == nil || rate == nil {
		return r, fmt.Errorf("wrk printed no figures: %s", strings.TrimSpace(text))
	}
	var err error
	if r.Requests, err = strconv.ParseInt(counted[1], 10, 64); err != nil {
		return r, fmt.Errorf("wrk's figures: %w", err)
	}
	if r.Rate, err = strconv.ParseFloat(rate[1], 64); err != nil {
		return r, fmt.Errorf("wrk's figures: %w", err)
	}
	var failures []string
	if m := statusLine.FindStringSubmatch(text); m != nil {
		failures = append(failures, m[1:]...)
	}
	if m := socketLine.FindStringSubmatch(text); m != nil {
		failures = append(failures, m[1:]...)
	}
	for _, f := range failures {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return r, fmt.Errorf("wrk's figures: %w", err)
		}
		r.Failed += n
	}
	return r, nil
}

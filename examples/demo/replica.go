package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/traefiktest"
)

// A replica is one Traefik of the demo.
type replica struct {
	demo    *demo
	number  int // from 1
	port    int
	traefik *traefiktest.Traefik // nil: not running
}

func (r *replica) site() string { return "http://localhost:" + strconv.Itoa(r.port) }

// startReplicas starts every Traefik, then waits until each is ready.
func (d *demo) startReplicas(ctx context.Context) error {
	for _, r := range d.replicas {
		if err := r.start(); err != nil {
			return err
		}
	}
	for _, r := range d.replicas {
		if err := r.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start starts the Traefik in a directory of its own. All Traefiks share the dynamic
// configuration.
func (r *replica) start() error {
	d := r.demo
	dir := filepath.Join(d.dir, "traefik-"+strconv.Itoa(r.number))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := d.configure("traefik.yml", dir, "127.0.0.1:8080", loopback(r.port), "filename: dynamic.yml", "filename: "+d.dynamic()); err != nil {
		return err
	}
	var log io.Writer = os.Stderr
	if len(d.replicas) > 1 {
		log = &labelled{label: fmt.Sprintf("Traefik %d", r.number), to: os.Stderr}
	}
	var err error
	r.traefik, err = traefiktest.Start(traefiktest.Options{
		Dir:     dir,
		Static:  "traefik.yml",
		Plugins: map[string]string{traefiktest.Module: d.root},
		Env:     d.secrets,
		Log:     log,
	})
	if err != nil {
		return err
	}
	go r.watch(r.traefik)
	return nil
}

// watch sends r to demo.ended when its Traefik ended without being stopped.
func (r *replica) watch(t *traefiktest.Traefik) {
	<-t.Done()
	if !t.Stopped() {
		r.demo.ended <- r
	}
}

func (r *replica) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, path := range []string{"/", "/team", "/admin"} {
		if err := r.traefik.Await(ctx, r.site()+path); err != nil {
			return err
		}
	}
	return nil
}

func (r *replica) stop() {
	if r.traefik != nil {
		r.traefik.Stop()
		r.traefik = nil
	}
}

func (r *replica) kill() {
	if r.traefik != nil {
		r.traefik.Kill()
		r.traefik = nil
	}
}

// A labelled writer writes a label before each line.
type labelled struct {
	label string
	to    io.Writer

	mu   sync.Mutex // guards rest
	rest []byte     // a line that has not ended
}

func (l *labelled) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if _, err := fmt.Fprintf(l.to, "%s | %s\n", l.label, line); err != nil {
			return 0, err
		}
		l.rest = append([]byte(nil), rest...)
	}
}

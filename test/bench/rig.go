package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/freeport"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/traefiktest"
)

// A subject is a plugin, or none, on one path of the rig.
type subject struct {
	Name   string
	Plugin string // its name in Traefik's configuration; empty: none
}

var (
	plain = subject{Name: "no plugin"}
	noop  = subject{Name: "no-op plugin", Plugin: "noop"}
	ours  = subject{Name: "traefikoidc", Plugin: "traefikoidc"}
)

func (s subject) path() string {
	if s.Plugin == "" {
		return "/plain"
	}
	return "/" + s.Plugin
}

const alice = "alice@example.com"

// A rig is a Traefik with a path for each subject, a backend, and a provider that signs
// the same user in without a page.
type rig struct {
	dir      string
	subjects []subject
	more     int    // routers of each subject beside the one that is measured
	steady   bool   // the options of the plugins stay the same in each generation
	site     string // Traefik's address for requests
	internal string // and for its own figures
	backend  *httptest.Server
	provider *oidctest.Provider
	traefik  *traefiktest.Traefik
	started  time.Duration // from Traefik's start until it served

	hits atomic.Int64 // requests received by the backend
}

// newRig starts everything and returns when each subject's path is served.
func newRig(ctx context.Context, subjects ...subject) (*rig, error) {
	return (&rig{subjects: subjects}).start(ctx)
}

func (g *rig) start(ctx context.Context) (*rig, error) {
	dir, err := os.MkdirTemp("", "traefikoidc-bench-")
	if err != nil {
		return nil, err
	}
	g.dir = dir
	g.backend = httptest.NewServer(http.HandlerFunc(g.answer))
	g.provider = oidctest.New(oidctest.Options{AutoLogin: alice, AccessLifetime: time.Hour})
	if err := g.startTraefik(ctx); err != nil {
		if g.traefik != nil {
			err = fmt.Errorf("%w\n%s", err, g.traefik.LastLines())
		}
		g.close()
		return nil, err
	}
	return g, nil
}

// answer responds with the user in X-Forwarded-User, so that a test can check it.
func (g *rig) answer(w http.ResponseWriter, r *http.Request) {
	g.hits.Add(1)
	_, _ = io.WriteString(w, "hello "+r.Header.Get("X-Forwarded-User"))
}

func (g *rig) startTraefik(ctx context.Context) error {
	var err error
	if g.site, err = freeport.Address(); err != nil {
		return err
	}
	if g.internal, err = freeport.Address(); err != nil {
		return err
	}
	if err := g.write("traefik.yml", g.static()); err != nil {
		return err
	}
	if err := g.writeCertificate(); err != nil {
		return err
	}
	if err := g.configure(0); err != nil {
		return err
	}
	began := time.Now()
	g.traefik, err = traefiktest.Start(traefiktest.Options{
		Dir: g.dir, Static: "traefik.yml", Plugins: g.plugins(),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, s := range g.subjects {
		if err := g.traefik.Await(ctx, g.url(s.path())); err != nil {
			return err
		}
	}
	g.started = time.Since(began)
	return nil
}

func (g *rig) url(path string) string { return "http://" + g.site + path }

// plugins returns the directories of the subjects' sources by module path.
func (g *rig) plugins() map[string]string {
	sources := map[string]string{}
	for _, s := range g.subjects {
		switch s.Plugin {
		case noop.Plugin:
			sources["github.com/traefikoidc/noop"] = "noop"
		case ours.Plugin:
			sources[traefiktest.Module] = filepath.Join("..", "..")
		}
	}
	return sources
}

// write replaces a file in Traefik's directory atomically, so that Traefik never reads a
// part of it.
func (g *rig) write(name, text string) error {
	next := filepath.Join(g.dir, name+".next")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(g.dir, name))
}

// signIn signs a user in at the subject ours and returns the Cookie header. It fails if
// the backend does not receive the user.
func (g *rig) signIn() (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	if err := greeted(client, g.url(ours.path())); err != nil {
		return "", fmt.Errorf("sign-in: %w", err)
	}
	site, err := url.Parse(g.url("/"))
	if err != nil {
		return "", err
	}
	var pairs []string
	for _, c := range jar.Cookies(site) {
		if strings.Contains(c.Name, "-s-") {
			continue // a cookie of the sign-in, which browsers drop after half a minute
		}
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; "), nil
}

// greeted checks that the backend responds to url and received the user.
func greeted(client *http.Client, url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(body) != "hello "+alice {
		return fmt.Errorf("%s answers %d: %.200s", resp.Request.URL.Path, resp.StatusCode, body)
	}
	return nil
}

// close ends everything and removes the directory.
func (g *rig) close() {
	if g.traefik != nil {
		g.traefik.Stop()
	}
	g.provider.Close()
	g.backend.Close()
	_ = os.RemoveAll(g.dir)
}

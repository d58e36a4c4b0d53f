package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/traefiktest"
)

// startLimit is how long Traefik may take until it serves.
const startLimit = 60 * time.Second

// A demo is what runs: a Traefik, a provider and a backend.
type demo struct {
	root         string // the repository
	dir          string // Traefik's folder, removed at the end
	sitePort     int
	providerPort int

	backend  *http.Server
	provider *oidctest.Provider
	traefik  *traefiktest.Traefik
}

// open claims the ports and the folder. The plugin's sources are in root.
func open(root string) (*demo, error) {
	if _, err := os.Stat(filepath.Join(root, ".traefik.yml")); err != nil {
		return nil, fmt.Errorf("start the demo with \"make demo\" in the repository: %w", err)
	}
	d := &demo{root: root}
	var err error
	if d.sitePort, err = port("DEMO_PORT", 8080); err != nil {
		return nil, err
	}
	if d.providerPort, err = port("DEMO_PROVIDER_PORT", 9000); err != nil {
		return nil, err
	}
	if d.dir, err = os.MkdirTemp("", "traefikoidc-demo-"); err != nil {
		return nil, err
	}
	return d, nil
}

// start returns when every site answers.
func (d *demo) start(ctx context.Context) error {
	backend, err := net.Listen("tcp", loopback(0))
	if err != nil {
		return err
	}
	d.backend = &http.Server{Handler: newBackend(), ReadHeaderTimeout: 10 * time.Second}
	go serve(d.backend, backend)

	secret, key := random(), random()
	provider, err := net.Listen("tcp", loopback(d.providerPort))
	if err != nil {
		return err
	}
	d.provider = oidctest.New(oidctest.Options{
		Listener: provider, Issuer: "http://" + loopback(d.providerPort),
		ClientID: "demo", ClientSecret: secret,
	})

	if err := d.configure("traefik.yml", "127.0.0.1:8080", loopback(d.sitePort)); err != nil {
		return err
	}
	if err := d.configure("dynamic.yml",
		"http://127.0.0.1:9000", d.provider.URL(),
		"http://127.0.0.1:9001", "http://"+backend.Addr().String()); err != nil {
		return err
	}
	d.traefik, err = traefiktest.Start(traefiktest.Options{
		Dir:     d.dir,
		Static:  "traefik.yml",
		Plugins: map[string]string{traefiktest.Module: d.root},
		Env:     []string{"DEMO_CLIENT_SECRET=" + secret, "DEMO_SESSION_KEY=" + key},
		Log:     os.Stderr,
	})
	if err != nil {
		return err
	}
	return d.await(ctx)
}

func serve(s *http.Server, l net.Listener) { _ = s.Serve(l) }

// random is a secret of 32 bytes.
func random() string {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		panic("demo: no randomness")
	}
	return hex.EncodeToString(b)
}

// configure copies a file of this folder to Traefik's, with other addresses:
// pairs of what is written there and what runs here.
func (d *demo) configure(name string, addresses ...string) error {
	text, err := os.ReadFile(filepath.Join(d.root, "examples", "demo", name))
	if err != nil {
		return err
	}
	changed := strings.NewReplacer(addresses...).Replace(string(text))
	return os.WriteFile(filepath.Join(d.dir, name), []byte(changed), 0o600)
}

func (d *demo) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, path := range []string{"/", "/team", "/admin"} {
		if err := d.traefik.Await(ctx, d.site()+path); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) site() string { return "http://localhost:" + strconv.Itoa(d.sitePort) }

// close ends what was started and removes the folder.
func (d *demo) close() {
	if d.traefik != nil {
		d.traefik.Stop()
	}
	if d.provider != nil {
		d.provider.Close()
	}
	if d.backend != nil {
		_ = d.backend.Close()
	}
	_ = os.RemoveAll(d.dir)
}

func (d *demo) instructions() string {
	return strings.NewReplacer("SITE", d.site(), "PROVIDER", d.provider.URL(), "FILE", filepath.Join(d.dir, "dynamic.yml")).Replace(`
  Open  SITE/

  The provider is PROVIDER, Traefik's dynamic configuration FILE

Try
  1. SITE/team     pick Alice or Bob: the page shows what the backend received
  2. SITE/admin    Alice may, Bob may not
  3. SITE/team/logout, and pick somebody else
  4. what a program sees:       curl -i SITE/team
     a header that it made up:  curl -H 'X-Forwarded-User: root' SITE/team/public
  5. change the configuration while it runs: put "guests" beside "admins" in the
     file above, save, sign in as Carol, open SITE/admin

Ctrl-C ends all of it and removes its files.
`)
}

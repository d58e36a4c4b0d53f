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
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// startLimit is the time in which a Traefik or Redis must be ready.
const startLimit = 60 * time.Second

// A demo is a provider, a backend and one or more Traefiks. Several Traefiks share a
// Redis.
type demo struct {
	root         string // the repository
	dir          string // directory of the configuration, removed at the end
	providerPort int
	secrets      []string // for Traefik's environment
	replicas     []*replica
	ended        chan *replica // receives replicas with a Traefik that ended by itself

	backend  *http.Server
	provider *oidctest.Provider
	redis    *redistest.Server // nil: there is one Traefik
}

// open checks the ports and creates the directory. The plugin's sources are in root.
func open(root string, replicas int) (*demo, error) {
	if _, err := os.Stat(filepath.Join(root, ".traefik.yml")); err != nil {
		return nil, fmt.Errorf("start the demo with \"make demo\" in the repository: %w", err)
	}
	d := &demo{root: root, ended: make(chan *replica, 1)}
	first, err := number("DEMO_PORT", 8080, 65535)
	if err != nil {
		return nil, err
	}
	for i := 0; i < replicas; i++ {
		if err := checkFree("DEMO_PORT", first+i, first+10); err != nil {
			return nil, err
		}
		d.replicas = append(d.replicas, &replica{demo: d, number: i + 1, port: first + i})
	}
	if d.providerPort, err = number("DEMO_PROVIDER_PORT", 9000, 65535); err != nil {
		return nil, err
	}
	if err := checkFree("DEMO_PROVIDER_PORT", d.providerPort, d.providerPort+10); err != nil {
		return nil, err
	}
	if d.dir, err = os.MkdirTemp("", "traefikoidc-demo-"); err != nil {
		return nil, err
	}
	return d, nil
}

// start starts everything and returns when every site is ready.
func (d *demo) start(ctx context.Context) error {
	backend, err := net.Listen("tcp", loopback(0))
	if err != nil {
		return err
	}
	d.backend = &http.Server{Handler: newBackend(), ReadHeaderTimeout: 10 * time.Second}
	go serve(d.backend, backend)

	secret := random()
	d.secrets = []string{"DEMO_CLIENT_SECRET=" + secret, "DEMO_SESSION_KEY=" + random()}
	provider, err := net.Listen("tcp", loopback(d.providerPort))
	if err != nil {
		return err
	}
	d.provider = oidctest.New(oidctest.Options{
		Listener: provider, Issuer: "http://" + loopback(d.providerPort),
		ClientID: "demo", ClientSecret: secret,
		BackchannelLogoutURI: "http://" + loopback(d.replicas[0].port) + "/team/backchannel",
	})

	addresses := []string{"http://127.0.0.1:9000", d.provider.URL(), "http://127.0.0.1:9001", "http://" + backend.Addr().String()}
	if len(d.replicas) > 1 {
		if err := d.openRedis(ctx); err != nil {
			return err
		}
		addresses = append(addresses, "enabled: false", "enabled: true", "127.0.0.1:6379", d.redis.Address())
	}
	if err := d.configure("dynamic.yml", d.dir, addresses...); err != nil {
		return err
	}
	return d.startReplicas(ctx)
}

// openRedis starts a Redis server on a free port, without persistence.
func (d *demo) openRedis(ctx context.Context) error {
	dir := filepath.Join(d.dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var err error
	if d.redis, err = redistest.New(redistest.Options{Dir: dir}); err != nil {
		return err
	}
	return d.startRedis(ctx)
}

func (d *demo) startRedis(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return d.redis.Start(ctx)
}

func serve(s *http.Server, l net.Listener) { _ = s.Serve(l) }

// random returns a random secret of 32 bytes in hexadecimal digits.
func random() string {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		panic("demo: no randomness")
	}
	return hex.EncodeToString(b)
}

// configure copies a file of this directory to dir and replaces addresses in it. The
// addresses are pairs of the text in the file and its replacement.
func (d *demo) configure(name, dir string, addresses ...string) error {
	text, err := os.ReadFile(filepath.Join(d.root, "examples", "demo", name))
	if err != nil {
		return err
	}
	changed := strings.NewReplacer(addresses...).Replace(string(text))
	return os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o600)
}

// dynamic returns the path of the dynamic configuration of every Traefik.
func (d *demo) dynamic() string { return filepath.Join(d.dir, "dynamic.yml") }

// close ends everything that was started and removes the directory.
func (d *demo) close() {
	for _, r := range d.replicas {
		r.stop()
	}
	if d.redis != nil {
		d.redis.Kill()
	}
	if d.provider != nil {
		d.provider.Close()
	}
	if d.backend != nil {
		_ = d.backend.Close()
	}
	_ = os.RemoveAll(d.dir)
}

// instructions returns the steps to try, with the addresses of this demo.
func (d *demo) instructions() string {
	text := tryOne
	pairs := []string{"SITE", d.replicas[0].site(), "PROVIDER", d.provider.URL(), "FILE", d.dynamic()}
	if len(d.replicas) > 1 {
		text = tryMany
		var sites []string
		for _, r := range d.replicas {
			sites = append(sites, r.site()+"/")
		}
		pairs = append(pairs, "ALLSITES", strings.Join(sites, "  "), "OTHER", d.replicas[1].site(),
			"ENDSESSION", d.provider.Endpoint(oidctest.EndSession), "REDIS", d.redis.Address(), "COUNT", strconv.Itoa(len(d.replicas)))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

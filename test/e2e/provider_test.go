package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/test/interpreted/browser"
)

func lookPath(name string) string {
	found, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return found
}

// node returns a command of Node.js in the folder with its packages.
func (r *rig) node(script string) *exec.Cmd {
	r.t.Helper()
	folder := "provider"
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "oidc-provider")); err != nil {
		r.t.Fatal("the npm packages are not there: run make test, or npm ci in test/e2e/provider")
	}
	if lookPath("node") == "" {
		r.t.Fatal("no node on PATH: run make test, or install Node.js")
	}
	cmd := exec.Command("node", script)
	cmd.Dir = folder
	return cmd
}

// startProvider starts the certified provider, with the rig's site as a client. It
// trusts the site's certificate.
func (r *rig) startProvider(client map[string]any) (issuer string) {
	r.t.Helper()
	known := map[string]any{"client_id": "client", "client_secret": secret, "grant_types": []string{"authorization_code", "refresh_token"}}
	for name, value := range client {
		known[name] = value
	}
	parameters, err := json.Marshal(map[string]any{"clients": []any{known}})
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := r.node("provider.mjs")
	cmd.Env = append(os.Environ(), "PROVIDER="+string(parameters), "NODE_EXTRA_CA_CERTS="+filepath.Join(r.dir, "tls", "cert.pem"))
	said := &output{}
	r.provider = said
	cmd.Stdout, cmd.Stderr = said, said
	// The provider ends with its standard input, and so with this process, however that ends.
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stops = append(stops, func() {
		in.Close()
		_ = cmd.Process.Kill()
	})
	if !eventually.Within(eventually.Limit, func() bool {
		_, after, listens := strings.Cut(said.String(), "listening at ")
		if listens && strings.Contains(after, "\n") {
			issuer, _, _ = strings.Cut(after, "\n")
			return true
		}
		select {
		case err := <-ended:
			r.t.Fatalf("the provider has ended: %v: %s", err, said)
		default:
		}
		return false
	}) {
		r.t.Fatalf("the provider does not print its address: %s", said)
	}
	return issuer
}

// output collects the output of a process.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// atProvider fills in the provider's forms, from its first page on. It returns the
// page to which the provider redirects.
func (r *rig) atProvider(b *browser.Browser, p *browser.Page, name string) *browser.Page {
	r.t.Helper()
	for range 4 {
		if !strings.HasPrefix(p.URL.String(), r.issuer) {
			return p
		}
		forms := p.Forms()
		if p.Status != http.StatusOK || len(forms) == 0 {
			r.t.Fatalf("%s: status %d: %s", p.URL, p.Status, p.Body)
		}
		f := forms[0]
		if f.Values.Get("prompt") == "login" {
			f.Values.Set("login", name)
			f.Values.Set("password", "any")
		}
		p = b.Submit(p, f)
	}
	r.t.Fatalf("still at the provider: %s", p.URL)
	return nil
}

// signIn opens path and signs the user in at the provider. It returns the last page.
func (r *rig) signIn(b *browser.Browser, path, name string) *browser.Page {
	r.t.Helper()
	return r.atProvider(b, b.Open(r.url+path), name)
}

func (r *rig) signedIn(name string) *browser.Browser {
	r.t.Helper()
	b := r.browser()
	r.sees(r.signIn(b, "/", name))
	return b
}

// Package demo tests "make demo" as a new user uses it. The variable TRAEFIK has the path
// of the Traefik to run; "make test" sets it.
package demo

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// build compiles the demo, for tests that start it without make.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "demo")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "./examples/demo")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

func TestMakeDemo(t *testing.T) {
	p := launch(t, "make", "demo")
	p.ready()

	v := newVisitor(p)
	if r := v.open("/"); r.Status != http.StatusOK {
		t.Errorf("the public page: %d", r.Status)
	}
	if r := v.get("/team", nil); r.Status != http.StatusUnauthorized {
		t.Errorf("an API client without a session: %d, want 401", r.Status)
	}
	r := v.get("/team/public", map[string]string{"X-Forwarded-User": "root", "X_Forwarded_User": "root"})
	if r.Status != http.StatusOK || strings.Contains(r.Body, "root") {
		t.Errorf("the public path with forged headers: %d %s", r.Status, r.Body)
	}

	if r := v.signIn("/team", "bob"); r.Status != http.StatusOK || !strings.Contains(r.Body, "bob@example.com") {
		t.Fatalf("Bob at /team: %d %.300s", r.Status, r.Body)
	}
	if r := v.get("/team", nil); !strings.Contains(r.Body, "X-Demo-Name: Bob Brandt") {
		t.Errorf("the header of the configuration is missing: %s", r.Body)
	}
	dave := newVisitor(p)
	r = dave.signIn("/team", "dave")
	if r.Status != http.StatusOK || !strings.Contains(r.Body, "<h1>Dave Dupont</h1>") || !strings.Contains(r.Body, "There is no X-Forwarded-User") {
		t.Errorf("Dave, without a verified address: %d %s", r.Status, r.Body)
	}
	if r := v.open("/team"); strings.Contains(r.Body, "There is no X-Forwarded-User") {
		t.Errorf("Bob: %s", r.Body)
	}
	if r := v.follow(v.open("/admin")); r.Status != http.StatusForbidden {
		t.Errorf("Bob at /admin: %d, want 403", r.Status)
	}

	edit(t, p.file(), "[admins]", "[admins, staff]")
	p.until("Bob at /admin, after the edit", func() bool { return v.open("/admin").Status == http.StatusOK })

	site := v.client.Jar.Cookies(mustParse(t, v.site))
	copied := newVisitor(p)
	copied.client.Jar.SetCookies(mustParse(t, v.site), site)
	v.follow(v.open("/team/logout"))
	for name, client := range map[string]*visitor{"the browser that signed out": v, "a copied cookie": copied} {
		if r := client.get("/team", nil); r.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, r.Status)
		}
	}

	p.signal(syscall.SIGINT)
	p.ended()
	p.leftNothing()
}

// edit replaces a text in a file, like an editor.
func edit(t *testing.T, file, before, after string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), before, after, 1)
	if changed == string(text) {
		t.Fatalf("%s does not contain %s", file, before)
	}
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEnds(t *testing.T) {
	binary := build(t)
	tests := []struct {
		name string
		end  func(p *process)
		code int
	}{
		{"SIGINT", func(p *process) { p.signal(syscall.SIGINT) }, 0},
		{"SIGTERM", func(p *process) { p.signal(syscall.SIGTERM) }, 0},
		{"SIGHUP", func(p *process) { p.signal(syscall.SIGHUP) }, 0},
		{"Traefik was killed", killTraefik, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := launch(t, binary)
			p.ready()
			tt.end(p)
			p.ended()
			if code := p.cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			p.leftNothing()
		})
	}
	t.Run("SIGINT while it starts", func(t *testing.T) {
		p := launch(t, binary)
		p.until("Traefik runs", func() bool { return len(p.inside()) > 0 })
		p.signal(syscall.SIGINT)
		p.ended()
		p.leftNothing()
	})
	t.Run("killed", func(t *testing.T) {
		p := launch(t, binary)
		p.ready()
		p.signal(syscall.SIGKILL)
		p.ended()
		eventually.True(t, "Traefik ends with the demo", func() bool { return len(p.inside()) == 0 })
	})
}

func killTraefik(p *process) {
	for _, pid := range p.inside() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestPortTaken(t *testing.T) {
	binary := build(t)
	for _, variable := range []string{"DEMO_PORT", "DEMO_PROVIDER_PORT"} {
		t.Run(variable, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			t.Setenv(variable, port)
			cmd := exec.Command(binary)
			cmd.Dir = filepath.Join("..", "..")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the demo started on a port that is in use")
			}
			for _, want := range []string{"port " + port + " is in use", variable + "="} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in: %s", want, out)
				}
			}
		})
	}
}

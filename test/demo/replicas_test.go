package demo

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// at returns the same browser at another port. Cookies belong to a host, not to a port.
func (v *visitor) at(port string) *visitor {
	other := *v
	other.site = "http://localhost:" + port
	return &other
}

// is reports whether the user is signed in at /team. It repeats a request for
// which Redis was too slow, as on a busy machine.
func (v *visitor) is(name string) bool {
	v.t.Helper()
	r := v.open("/team")
	for end := time.Now().Add(time.Minute); r.Status == http.StatusServiceUnavailable && time.Now().Before(end); {
		r = v.open("/team")
	}
	return r.Status == http.StatusOK && strings.Contains(r.Body, name+"@example.com")
}

// endSession matches the URL of the provider's sign-out in the demo's instructions.
var endSession = regexp.MustCompile(`http://127\.0\.0\.1:\d+/op/\S+`)

// TestReplicas follows the instructions of the demo with two Traefiks.
func TestReplicas(t *testing.T) {
	build(t)
	p := launch(t, "make", "demo", "REPLICAS=2")
	p.ready()
	text := p.out.String()
	for _, want := range []string{"http://localhost:" + p.port + "/team", "http://localhost:" + p.second + "/team", "redis kill", "redis start", "kill 1", "start 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("the instructions do not have %s", want)
		}
	}
	alice := newVisitor(p)
	bob := newVisitor(p)
	everywhere := func(v *visitor, name string) bool { return v.at(p.port).is(name) && v.at(p.second).is(name) }

	alice.signIn("/team", "alice")
	if !everywhere(alice, "alice") {
		t.Fatal("Alice is not signed in at both")
	}

	p.enter("redis kill", "Redis was killed")
	if !everywhere(alice, "alice") {
		t.Fatal("without Redis, Alice is not signed in at both")
	}
	bob.signIn("/team", "bob")
	if !bob.is("bob") {
		t.Error("without Redis, a sign-in does not work")
	}
	if r := bob.at(p.second).open("/team"); r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("without Redis, Bob at the other Traefik: %d, want 503 with Retry-After", r.Status)
	}

	p.enter("redis start", "Redis runs again")
	p.until("Alice and Bob are signed in at both", func() bool { return everywhere(alice, "alice") && everywhere(bob, "bob") })

	p.enter("kill 1", "was killed.\n")
	if c, err := net.Dial("tcp", "127.0.0.1:"+p.port); err == nil {
		c.Close()
		t.Error("the first Traefik listens after it was killed")
	}
	if !alice.at(p.second).is("alice") {
		t.Error("the other Traefik does not work")
	}
	p.enter("start 1", " runs.\n")
	if !everywhere(alice, "alice") {
		t.Error("Alice is not signed in at a Traefik that has just started")
	}

	copied := newVisitor(p)
	copied.client.Jar.SetCookies(mustParse(t, copied.site), alice.client.Jar.Cookies(mustParse(t, alice.site)))
	alice.follow(alice.open("/team/logout"))
	p.until("a copy of Alice's cookie is refused at both", func() bool {
		return copied.at(p.port).get("/team", nil).Status == http.StatusUnauthorized && copied.at(p.second).get("/team", nil).Status == http.StatusUnauthorized
	})
	if alice.at(p.second).is("alice") || !everywhere(bob, "bob") {
		t.Error("the sign-out did not sign out Alice and only her")
	}

	alice.signIn("/team", "alice")
	if !everywhere(alice, "alice") {
		t.Fatal("Alice is not signed in again at both")
	}
	if r := alice.open(endSession.FindString(text)); r.Status != http.StatusOK {
		t.Fatalf("signing out at the provider: %d %.300s", r.Status, r.Body)
	}
	p.until("Alice is signed out at both by the provider", func() bool {
		return alice.at(p.port).get("/team", nil).Status == http.StatusUnauthorized && alice.at(p.second).get("/team", nil).Status == http.StatusUnauthorized
	})

	p.enter("redis stopp", "The commands are:")
	p.signal(syscall.SIGINT)
	p.ended()
	p.leftNothing()
}

func TestReplicasMustBeANumber(t *testing.T) {
	binary := build(t)
	for _, s := range []string{"two", "0", "10"} {
		cmd := exec.Command(binary)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "REPLICAS="+s)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "REPLICAS must be a number from 1 to 9") {
			t.Errorf("REPLICAS=%s: %v %s", s, err, out)
		}
	}
}

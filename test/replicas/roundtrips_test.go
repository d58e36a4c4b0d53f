package replicas

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRoundTrips counts the commands that are sent to Redis, also in the background.
// Those after an invalidation of the replica's own write are included. It is not
// parallel, because it sets the time.
func TestRoundTrips(t *testing.T) {
	x := newClockedScene(t, startServer(t), "enableHealthCheck", "false")
	// The server knows the scripts then, and connections are open.
	warm := x.member("alice")
	x.expire()
	warm.lives(x.a)
	x.refreshes(1)
	x.linkA.rest(t)
	warm.signOut(x.a)
	p := newUser(t, "bob")
	var back string
	for _, row := range []struct {
		name   string
		do     func()
		atMost [2]int // at A, at B
	}{
		{"a sign-in at A begins", func() { back = p.callback(x.a).String() }, [2]int{0, 0}},
		// Three, and one because A gets an invalidation of its own write, at once or at
		// the next request.
		{"a sign-in at A ends, and its first request", func() { p.signsIn(x.a, back); p.lives(x.a) }, [2]int{4, 0}},
		{"a first request at B", func() { p.lives(x.b) }, [2]int{0, 1}},
		{"thirty requests at both", func() { served(t, crowd(30, p, x.a, x.b)) }, [2]int{0, 0}},
		{"a refresh at A", func() {
			x.expire()
			p.lives(x.a)
			x.refreshes(2)
		}, [2]int{5, 1}},
		{"a request at each after it", func() { p.lives(x.b); p.lives(x.a) }, [2]int{1, 0}},
		{"thirty requests at both after it", func() { served(t, crowd(30, p, x.a, x.b)) }, [2]int{0, 0}},
		{"a refresh for twenty requests at once", func() {
			x.expire()
			served(t, crowd(20, p, x.a))
			x.refreshes(3)
		}, [2]int{5, 1}},
		{"a sign-out at A", func() { p.signOut(x.a) }, [2]int{3, 1}},
	} {
		a, b, listening := x.linkA.rest(t), x.linkB.rest(t), x.listening()
		quick := overBefore(prolongTime, row.do)
		atA, atB := x.linkA.rest(t)[len(a):], x.linkB.rest(t)[len(b):]
		if x.listening() != listening || strings.Contains(row.name, "refresh") && !quick {
			t.Logf("%s: not counted: on a busy machine a link was lost, or a lease prolonged", row.name)
			continue
		}
		t.Logf("%-50s at A %d %s, at B %d %s", row.name, len(atA), strings.Join(atA, " "), len(atB), strings.Join(atB, " "))
		if len(atA) > row.atMost[0] || len(atB) > row.atMost[1] {
			t.Errorf("%s: %d round trips at A %v, %d at B %v, want at most %v", row.name, len(atA), atA, len(atB), atB, row.atMost)
		}
	}
}

// prolongTime is after how long a lease for a refresh is prolonged.
const prolongTime = 2 * time.Second

// signsIn ends a sign-in.
func (p *user) signsIn(r *replica, back string) {
	p.t.Helper()
	page := p.get(r, strings.TrimPrefix(back, appURL))
	if page.Status != http.StatusFound || p.value() == "" {
		p.t.Fatalf("sign-in of %s: status %d: %s", p.name, page.Status, page.Body)
	}
}

// rest waits until nothing is sent any more, and returns the round trips so far.
func (k *link) rest(t *testing.T) []string {
	t.Helper()
	for {
		trips := k.trips()
		time.Sleep(150 * time.Millisecond)
		if len(k.trips()) == len(trips) {
			return trips
		}
	}
}

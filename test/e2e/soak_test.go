package e2e

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// TestSoak has a crowd while Redis and a replica go away at random and come back, for
// the duration in the variable SOAK, such as 10m. Signed-in users stay signed in, and no
// refresh token is sent twice.
func TestSoak(t *testing.T) {
	lasts, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("SOAK has no duration")
	}
	x := theReplicas(t)
	t.Cleanup(func() {
		x.set()
		x.recover()
	})
	before := x.counts()
	c := x.gather(30, true)
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		away := rand.N(1500 * time.Millisecond)
		event := ""
		switch rand.IntN(4) {
		case 0:
			event = "Redis killed"
			x.killRedis()
			time.Sleep(away)
			x.startRedis()
		case 1:
			event = "Redis killed, its data lost"
			x.killRedis()
			time.Sleep(away)
			x.startRedisEmpty()
		case 2:
			event = "Redis stopped"
			x.stopRedis()
			time.Sleep(away)
			x.continueRedis()
		case 3:
			event = "a replica killed"
			x.down.Store(true)
			x.a.traefik.Kill()
			time.Sleep(away)
			x.a.start()
			time.Sleep(time.Second) // for requests that met the dead one
			x.down.Store(false)
		}
		t.Logf("%s for %v: %+v", event, away, x.counts())
		// Now and then there is time for refreshes between two outages.
		time.Sleep(3*time.Second + rand.N(7*time.Second))
	}
	c.ends()
	now := x.counts()
	t.Logf("%d requests, %d refreshes", c.asked.Load(), now.Refreshes-before.Refreshes)
	if now.Refused != before.Refused || now.Revoked != before.Revoked {
		t.Errorf("before %+v, after %+v, want no grant refused; the provider says:\n%s", before, now, x.a.provider)
	}
}

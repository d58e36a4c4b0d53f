package replicas

import (
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

// logouts are the ways to end a session at A.
var logouts = []struct {
	name string
	end  func(x *scene, p *user, sid string)
}{
	{"the user's", signsOut},
	{"the provider's", isEnded},
}

// TestALogoutIsKnownElsewhere fails if the other replica is not notified. Its opened
// session does not end by itself while the link is up.
func TestALogoutIsKnownElsewhere(t *testing.T) {
	t.Parallel()
	x := newScene(t, startServer(t))
	for _, row := range logouts {
		t.Run("I6 J12 BL15 "+row.name, func(t *testing.T) {
			for range 5 {
				p := x.member("alice")
				stolen, sid := p.copy(), p.sid(x.a)
				row.end(x, p, sid)
				stolen.ends(x.b)
				stolen.ended(x.a)
			}
		})
	}
}

// TestALogoutWhenTheLinkIsCutSilently fails if the other replica goes on to trust a
// silent link.
func TestALogoutWhenTheLinkIsCutSilently(t *testing.T) {
	t.Parallel()
	x := newScene(t, startServer(t))
	for _, row := range logouts {
		t.Run("I6 J12 "+row.name, func(t *testing.T) {
			p := x.member("alice")
			stolen, sid := p.copy(), p.sid(x.a)
			x.linkB.freeze()
			row.end(x, p, sid)
			stolen.ends(x.b)
		})
	}
}

// BenchmarkALogoutIsKnownElsewhere measures the time from a logout at A until B refuses
// the session, as a median. It does so with a link, and with one that is cut silently.
func BenchmarkALogoutIsKnownElsewhere(b *testing.B) {
	x := newScene(b, startServer(b))
	for _, silent := range []bool{false, true} {
		for _, row := range logouts {
			b.Run(fmt.Sprintf("%s, silent link %t", row.name, silent), func(b *testing.B) {
				var all []time.Duration
				for range b.N {
					p := x.member("alice")
					stolen, sid := p.copy(), p.sid(x.a)
					if silent {
						x.linkB.freeze()
					}
					row.end(x, p, sid)
					began := time.Now()
					stolen.ends(x.b)
					all = append(all, time.Since(began))
				}
				sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
				b.ReportMetric(float64(all[len(all)/2])/float64(time.Millisecond), "ms/logout")
			})
		}
	}
}

// TestBackchannel has one server for all tests that do not disturb it.
func TestBackchannel(t *testing.T) {
	common := startServer(t)

	t.Run("sid, sub and both", func(t *testing.T) {
		t.Parallel()
		x := newScene(t, common)
		for _, row := range []struct {
			name     string
			sub, sid int // the users with the token's sub and sid; -1: the token has none
			ends     []int
		}{
			{"BL15 the sid ends one", -1, 0, []int{0}},
			{"BL15 BL16 sid and sub end one", 1, 1, []int{1}},
			{"BL16 the sid of one and the sub of another end none", 3, 2, nil},
			{"BL15 the sub ends all of the user", 2, -1, []int{0, 1, 2}},
		} {
			t.Run(row.name, func(t *testing.T) {
				users := []*user{
					newUser(t, "alice").signIn(x.a), newUser(t, "alice").signIn(x.b), newUser(t, "alice").signIn(x.a), newUser(t, "bob").signIn(x.b),
				}
				sub, sid := "", ""
				for i, p := range users {
					own := p.sid(x.a)
					p.lives(x.b)
					if i == row.sid {
						sid = own
					}
					if i == row.sub {
						sub = p.name
					}
				}
				x.b.taken(x.provider.LogoutToken("client", sub, sid, nil))
				over := map[int]bool{}
				for _, i := range row.ends {
					over[i] = true
				}
				for i, p := range users {
					for _, r := range x.both() {
						if over[i] {
							p.ends(r)
						} else {
							p.lives(r)
						}
					}
				}
			})
		}
		t.Run("BL17 a user that signs in anew is signed in", func(t *testing.T) {
			p := newUser(t, "bob").signIn(x.a)
			x.a.taken(x.provider.LogoutToken("client", "bob", "", nil))
			p.ends(x.b)
			second := time.Now().Unix() // tokens of the second of the logout are taken for older than it
			eventually.True(t, "the next second", func() bool { return time.Now().Unix() > second })
			p.signIn(x.b).lives(x.a)
		})
	})

	t.Run("BL9 J14 a hundred deliveries at both: one is taken", func(t *testing.T) {
		t.Parallel()
		x := newScene(t, common)
		p := x.member("alice")
		token := x.provider.LogoutToken("client", "alice", p.sid(x.a), nil)
		counts := map[int]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				n := x.both()[i%2].delivers(token)
				mu.Lock()
				counts[n.status]++
				mu.Unlock()
			}()
		}
		wg.Wait()
		// Deliveries that are not taken are limited, too.
		if counts[http.StatusOK] != 1 || counts[http.StatusBadRequest]+counts[http.StatusTooManyRequests] != 99 {
			t.Errorf("responses: %v", counts)
		}
		p.ended(x.a)
		p.ended(x.b)
		x.a.refused(token, "invalid_request")
		x.b.refused(token, "invalid_request")
	})

	t.Run("J11 BL5 clocks that differ by a minute", func(t *testing.T) {
		t.Parallel()
		first, _ := load(t)
		for _, plugins := range [][]*loader.Plugin{{first, ahead(t)}, {ahead(t), first}} {
			x := newSceneIn(t, common, plugins[0], plugins[1], nil)
			bySub, bySid := newUser(t, "bob").signIn(x.a), newUser(t, "alice").signIn(x.b)
			for _, r := range x.both() {
				bySub.lives(r)
				bySid.lives(r)
			}
			x.b.taken(x.provider.LogoutToken("client", "bob", "", nil))
			x.a.taken(x.provider.LogoutToken("client", "", bySid.sid(x.a), nil))
			for _, r := range x.both() {
				bySub.ends(r)
				bySid.ends(r)
			}
		}
	})
}

func TestBackchannelInAnOutage(t *testing.T) {
	t.Run("BL18 Redis is down: 400, here at once, elsewhere after, and the retry is taken", func(t *testing.T) {
		t.Parallel()
		x := newScene(t, startServer(t, durable...))
		p, q, bystander := x.member("alice"), x.member("bob"), x.member("carol")
		sid := p.sid(x.a)
		x.server.Kill()
		tokens := []string{x.provider.LogoutToken("client", "alice", sid, nil), x.provider.LogoutToken("client", "bob", "", nil)}
		for _, token := range tokens {
			x.a.refused(token, comeAgain)
		}
		p.endedAtOnce(x.a)
		q.endedAtOnce(x.a)
		bystander.livesAtOnce(x.a)
		p.livesAtOnce(x.b) // it cannot know yet
		x.a.refused(tokens[0], comeAgain)

		x.server.Start()
		p.ends(x.b)
		q.ends(x.b)
		x.a.says(restored, 1)
		x.a.taken(tokens[0])
		x.b.taken(tokens[1])
		x.b.refused(tokens[0], "invalid_request")
		for _, r := range x.both() {
			p.ended(r)
			q.ended(r)
			bystander.lives(r)
		}
	})

	t.Run("BL18 one replica is cut off", func(t *testing.T) {
		t.Parallel()
		x := newScene(t, startServer(t))
		p := x.member("alice")
		unseen := newUser(t, "alice").signIn(x.b) // A has no copy of it
		token := x.provider.LogoutToken("client", "alice", "", nil)
		x.linkA.set(cut)
		x.a.refused(token, comeAgain)
		p.endedAtOnce(x.a)
		p.lives(x.b)
		unseen.lives(x.b)
		x.linkA.set(whole)
		p.ends(x.b)
		unseen.ends(x.b)
		eventually.True(t, "the retry is taken", func() bool { return x.a.delivers(token).status == http.StatusOK })
		unseen.ended(x.a)
	})
}

func TestALogoutInAnOutage(t *testing.T) {
	t.Run("I6 J3 it holds at the other within a second of the recovery", func(t *testing.T) {
		t.Parallel()
		x := newScene(t, startServer(t))
		p := x.member("alice")
		stolen := p.copy()
		x.linkA.set(cut)
		stranger := newUser(t, "bob").signIn(x.b)
		eventually.True(t, "fallen back", func() bool {
			stranger.uses(x.a)
			return strings.Contains(x.a.log(), fellBack)
		})
		p.signOut(x.a)
		stolen.endedAtOnce(x.a)
		stolen.lives(x.b)
		x.linkA.set(whole)
		x.a.says(restored, 1)
		stolen.ends(x.b) // it would live on if B were not notified
	})

	t.Run("I6 Redis restarts with its data", func(t *testing.T) {
		t.Parallel()
		x := newScene(t, startServer(t, durable...))
		p := x.member("alice")
		stolen := p.copy()
		x.server.Kill()
		p.signOut(x.a)
		stolen.endedAtOnce(x.a)
		x.server.Start()
		x.a.says("Redis restarted with its data", 1)
		stolen.ends(x.b) // it would live on if B were not notified
		stolen.ended(x.a)
	})
}

// TestALogoutWhileRedisIsStopped has a server that accepts connections and does not reply.
func TestALogoutWhileRedisIsStopped(t *testing.T) {
	t.Parallel()
	x := newScene(t, startServer(t), "operationTimeout", "2s")
	p, q := x.member("alice"), x.member("bob")
	stolen := p.copy()
	token := x.provider.LogoutToken("client", "", q.sid(x.a), nil)
	x.server.Signal(syscall.SIGSTOP)
	p.signOut(x.a)
	stolen.endedAtOnce(x.a)
	x.a.refused(token, comeAgain)
	q.endedAtOnce(x.a)
	x.server.Signal(syscall.SIGCONT)
	stolen.ends(x.b)
	q.ends(x.b)
	eventually.True(t, "the retry is taken", func() bool { return x.a.delivers(token).status == http.StatusOK })
	stolen.ended(x.a)
}

// TestLostDataAfterALogout fails if a replica that had the session brings it back.
func TestLostDataAfterALogout(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(x *scene, p *user, sid string)
		open bool // at B; it gets no request between the logout and the loss
		deaf bool // B hears nothing of the logout
	}{
		{"I6 J2 BL15 nobody had it at the other", signsOut, false, false},
		{"I6 J2 the other had it open", signsOut, true, false},
		{"I6 J2 BL15 the other had it open, and the provider ended it", isEnded, true, false},
		{"I6 J2 the other had it open, and heard nothing", signsOut, true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := newScene(t, startServer(t))
			p, bystander := newUser(t, "alice").signIn(x.a), x.member("bob")
			stolen := p.copy()
			sid := stolen.sid(x.a)
			if row.open {
				stolen.lives(x.b)
			}
			if row.deaf {
				x.linkB.freeze()
			}
			heard := x.linkB.changes()
			row.end(x, p, sid)
			if !row.deaf {
				eventually.True(t, "B hears of a change", func() bool { return x.linkB.changes() > heard })
			}
			x.server.Kill()
			x.server.Start()
			x.a.says("lost its data", 1)
			x.b.says("lost its data", 1)
			for _, r := range x.both() {
				stolen.ends(r)
			}
			never(t, "it lives again", time.Second, func() bool {
				return stolen.uses(x.a).status == http.StatusOK || stolen.uses(x.b).status == http.StatusOK
			})
			bystander.lives(x.a)
			bystander.lives(x.b)
		})
	}
}

func signsOut(x *scene, p *user, sid string) { p.signOut(x.a) }

func isEnded(x *scene, p *user, sid string) {
	x.a.taken(x.provider.LogoutToken("client", p.name, sid, nil))
}

// TestJ10EvictedSessionsAreSignedOut has a full server that evicts the keys that were used
// least recently.
func TestJ10EvictedSessionsAreSignedOut(t *testing.T) {
	t.Parallel()
	x := newScene(t, startServer(t, "--maxmemory-policy", "allkeys-lru"))
	p := x.member("alice")
	x.server.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(x.server.info("memory", "used_memory:")+256<<10))
	filler := make([]byte, 4<<10)
	eventually.True(t, "the session is evicted", func() bool {
		for range 50 {
			x.server.Do("SET", "other:"+strconv.FormatInt(time.Now().UnixNano(), 36), string(filler))
		}
		return len(x.server.keys(0, "traefikoidc:s:*")) == 0
	})
	for _, r := range x.both() {
		p.ends(r)
		p.is(r, "provider")
	}
	x.server.Do("CONFIG", "SET", "maxmemory", "0")
	p.signIn(x.a).lives(x.b)
}

func TestAPostInAnOutageIsNotLost(t *testing.T) {
	t.Parallel()
	x := newScene(t, startServer(t))
	known, stranger := x.member("alice"), newUser(t, "bob").signIn(x.a)
	x.linkB.set(cut)
	form := url.Values{"text": {"written for an hour"}}.Encode()
	for range 8 {
		if n := x.b.ask(http.MethodPost, "/save", known.value(), form); n.status != http.StatusOK || n.seen.Body != form {
			t.Errorf("J1 a known session: status %d, body %q", n.status, n.seen.Body)
		}
		if n := x.b.ask(http.MethodPost, "/save", stranger.value(), form); n.status != http.StatusServiceUnavailable || n.header.Get("Retry-After") == "" ||
			n.header.Get("Location") != "" || len(n.header.Values("Set-Cookie")) != 0 {
			t.Errorf("J1 a session of the other replica: status %d, %v", n.status, n.header)
		}
		if n := x.b.ask(http.MethodPost, "/save", "", form); n.status != http.StatusUnauthorized || n.header.Get("Location") != "" {
			t.Errorf("J1 no session: status %d, %v", n.status, n.header)
		}
	}
	x.linkB.set(whole)
	eventually.True(t, "the other's session", func() bool {
		return x.b.ask(http.MethodPost, "/save", stranger.value(), form).seen.Body == form
	})
}

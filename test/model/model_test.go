//go:debug randseednop=0

// Package model plays random interleavings of events at a few replicas that share a
// Redis:
//
//   - sign-ins, requests, token refreshes, logouts by the user and by the provider;
//   - cut, stalled and one-way links, and a silent invalidation link;
//   - a server that crashes, stops, is flushed, refuses writes, moves behind its name,
//     and comes back with its data and without;
//   - replicas that are killed and started again;
//   - options that change, that lead nowhere and that are mended;
//   - clocks that differ by up to a minute, and memories with room for a handful of
//     entries.
//
// The code is the real one: session.Manager with its token refreshes, cache.Switch,
// cache.Hybrid, the client, the tracker and the breaker below it. Time is simulated
// (testing/synctest), and so are the link (link_test.go) and the server (server_test.go).
// lua_test.go runs the plugin's own scripts. Some servers know no scripts, so that WATCH
// and MULTI decide. Some know no tracking, so that replicas notify each other. The
// provider rotates refresh tokens and ends the family of one that is used twice.
//
// The rules are in ledger_test.go. They are checked at each answer and, when everything
// has healed, for every session at every replica:
//
//   - a session is not served later than 50 ms after its logout by a replica that hears
//     of changes, and 2.5 s by one that does not;
//   - it is not served later than 2.5 s after the time from which a replica can reach the
//     server again, and never again by a replica that knew;
//   - nobody is signed out without a logout, the session's end, FLUSHALL or an
//     invalid_grant, and a replica that can reach the server is not "unavailable";
//   - no refresh token is sent again after it was used or its response was lost;
//   - an acknowledged logout survives a loss of data as long as a replica lives that
//     knew it.
//
// It finds these faults in the code. The first is found by tens of seeds in ten thousand,
// the last by one or two:
//
//   - served after a logout: an invalidation that leaves entries, reads under way or
//     opened sessions;
//   - a reconnected link that is trusted;
//   - journalled revocations that are dropped;
//   - records that are not listed, and sign-ins that do not read the revocation entries;
//   - a tombstone that can be overwritten;
//   - no read after an invalidation;
//   - silence that is noticed after 10 s;
//   - revocations that the next store does not take over;
//   - signed out: writes that Redis refused and that do not wait for it;
//   - a connection that is kept after READONLY;
//   - signed out: changes in the journal of an outage that the next store does not get,
//     or changes by a request under way;
//   - an error that is taken for a miss;
//   - a loss of data after which nothing is restored, or only revocations, or after which
//     misses are believed at once;
//   - a lease that is not read;
//   - sent twice: the entry of a used grant that is not read, or the lease;
//   - back after FLUSHALL: a refreshed record that is written by Set instead of
//     CompareAndSet.
//
// It does not find these, because another rule still applies:
//
//   - a lease that is not prolonged, because of the entry of the used grant;
//   - an invalid_grant that is believed without reading the record again, because the
//     provider never sends it for another reason;
//   - values that were served unchecked in a hiccup and are taken for fresh, because they
//     are read again after the invalidation;
//   - leases that are given at once after a loss of data, because they are about the
//     known data set.
//
// One seed is one interleaving. It plays the same again in a process with one thread. A
// failure shows the trace and the command that repeats it.
package model

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "play this seed alone, and show what happens")
	loudFlag  = flag.Bool("loud", false, "show every call of the store too")
	runsFlag  = flag.Uint64("runs", 10000, "interleavings that TestInterleavings plays")
	soakFlag  = flag.Bool("soak", false, "let TestSoak play seeds until one fails")
	forFlag   = flag.Duration("for", 0, "end the soak after so long; 0: never")
	shareFlag = flag.String("share", "", "of a process that plays some of the seeds: first,step,runs")
)

// play plays the interleaving of one seed and returns its result.
func play(t *testing.T, seed uint64) *world {
	var w *world
	rand.Seed(int64(seed)) // the jitter of the code under test
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(seed, *loudFlag)
		w.drive()
		if w.failure == "" {
			w.finish()
		}
		w.close()
	})
	return w
}

func TestInterleavings(t *testing.T) {
	switch {
	case *seedFlag != 0:
		t.Run(fmt.Sprintf("seed=%d", *seedFlag), func(t *testing.T) {
			w := play(t, *seedFlag)
			fmt.Println(strings.Join(w.log, "\n"))
			if w.failure != "" {
				t.Error(w.failure)
			}
		})
	case *shareFlag != "":
		playShare(t)
	case testing.Short():
		share(t, 1, min(*runsFlag, 500))
	default:
		share(t, 1, *runsFlag)
	}
}

func TestSoak(t *testing.T) {
	if !*soakFlag {
		t.Skip("without -soak")
	}
	share(t, uint64(time.Now().UnixNano()), 1<<62)
}

// share has the seeds from first on played by processes with one thread each.
func share(t *testing.T, first, runs uint64) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	processes := uint64(runtime.NumCPU())
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() {
			c := exec.Command(program, "-test.run=^TestInterleavings$", "-test.timeout=0", "-test.v="+fmt.Sprint(testing.Verbose()),
				fmt.Sprintf("-share=%d,%d,%d", first+i, processes, (runs+processes-1-i)/processes), fmt.Sprintf("-for=%s", *forFlag))
			c.Env = append(os.Environ(), "GOMAXPROCS=1")
			out, err := c.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			} else if testing.Verbose() {
				t.Logf("%s", out)
			}
		})
	}
	wg.Wait()
}

// playShare plays the seeds that share gives this process, until three have failed.
func playShare(t *testing.T) {
	var first, step, runs uint64
	if _, err := fmt.Sscanf(*shareFlag, "%d,%d,%d", &first, &step, &runs); err != nil {
		t.Fatal(err)
	}
	all := tally{}
	failures := 0
	began := time.Now()
	for i := uint64(0); i < runs && failures < 3 && (*forFlag == 0 || time.Since(began) < *forFlag); i++ {
		w := play(t, first+i*step)
		all.add(w)
		if w.failure == "" {
			continue
		}
		failures++
		t.Errorf("seed %d: %s\n%+v\n%s\nagain: GOMAXPROCS=1 go test -run TestInterleavings -seed %d -loud",
			w.seed, w.failure, w.c, strings.Join(w.log, "\n"), w.seed)
	}
	t.Log(all)
	if runs >= 2000 {
		all.check(t)
	}
}

// A tally counts the events of many runs.
type tally map[string]int

func (a tally) add(w *world) {
	a["runs"]++
	for name, n := range w.taken {
		a["step "+name] += n
	}
	for e, n := range w.events {
		a["event "+e.Text()] += n
	}
	for i, n := range w.answers {
		a["answer "+answer(i).String()] += n
	}
	a["sessions"] += len(w.lives)
	for _, e := range w.endings {
		if !e.done.IsZero() {
			a["logouts acknowledged"]++
		}
		if e.forgot {
			a["logouts nobody knew any more"]++
		}
	}
	for _, l := range w.lives {
		if l.quietly {
			a["sessions nobody knew any more"]++
		}
	}
	p := w.provider
	a["refreshes sent"] += p.calls
	a["refreshes that brought tokens"] += p.good
	a["refreshes with a lost response"] += p.lost
	a["tokens used twice, unknown to all who live"] += p.unknown
	for name, n := range w.net.server.counts {
		a["command "+name] += n
	}
}

// check fails if an event that the runs must have did not happen in them.
func (a tally) check(t *testing.T) {
	for _, s := range steps {
		if a["step "+s.name] == 0 {
			t.Errorf("no %s", s.name)
		}
	}
	for _, name := range []string{
		"answer served", "answer none", "answer unavailable", "sessions", "logouts acknowledged", "refreshes that brought tokens",
		"refreshes with a lost response", "event Redis lost its data, restoring the records of this replica", "event Redis restarted with its data",
		"event Redis connection restored", "event Redis invalidation link down", "command EVALSHA", "command EXEC", "command PUBLISH",
	} {
		if a[name] == 0 {
			t.Errorf("no %s", name)
		}
	}
}

package cache_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
)

// add stores a record that was issued so many seconds after the moment from which
// revocations count.
func (r *replica) add(key string, issued int, links ...string) error {
	return r.Add(context.Background(), key, cachetest.Linked(1, issued, links...), time.Hour)
}

func (r *replica) revoke(links ...string) error {
	return r.Revoke(context.Background(), cachetest.Revoking(10, links...))
}

// witness collects the revocations that a replica reports.
type witness struct {
	mu   sync.Mutex
	seen []cache.Revocation
}

func (w *witness) Changed(_ string) {}
func (w *witness) ChangedAll()      {}
func (w *witness) Revoked(r cache.Revocation) {
	w.mu.Lock()
	w.seen = append(w.seen, r)
	w.mu.Unlock()
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

func TestARevocationDuringAnOutage(t *testing.T) {
	for _, outage := range outages {
		t.Run("BL18 "+outage.name, func(t *testing.T) {
			s, app := startApp(t)
			a, b := startReplica(t, s, "x", app), startReplica(t, s, "x", app)
			w := &witness{}
			a.Watch(w)
			ok(t, a.add("s:here", 0, "sid 1", "ann"))
			ok(t, b.add("s:elsewhere", 0, "sid 2", "ann"))
			ok(t, b.add("s:bob", 0, "sid 3", "bob"))
			outage.begin(s)
			a.untilFallback()
			b.untilFallback()
			journalled(t, b.add("s:made meanwhile", 5, "sid 4", "ann"))
			journalled(t, a.add("s:signed in again", 200, "sid 5", "ann"))
			journalled(t, a.revoke("ann"))
			a.is("s:here", "revoked")
			a.is("s:signed in again", "1")
			if err := a.add("s:too late", 10, "sid 6", "ann"); !errors.Is(err, cache.ErrConflict) {
				t.Errorf("a record that was issued before the revocation: %v", err)
			}
			if w.count() != 1 {
				t.Errorf("reported %d times", w.count())
			}
			b.is("s:elsewhere", "1")
			outage.end(s)
			a.untilRestored()
			b.untilRestored()
			for _, r := range []*replica{a, b} {
				for key, state := range map[string]string{
					"s:here": "revoked", "s:elsewhere": "revoked", "s:made meanwhile": "revoked", "s:bob": "1", "s:signed in again": "1",
				} {
					r.becomes(key, state)
				}
			}
		})
	}
}

func TestALossOfDataBringsNothingBack(t *testing.T) {
	s := startServer(t)
	a, b := startReplica(t, s, "x", nil), startReplica(t, s, "x", nil)
	ok(t, a.add("s:ended", 0, "sid 1", "ann"))
	ok(t, a.add("s:left", 0, "sid 2", "bob"))
	b.becomes("s:ended", "1")
	reads := b.reads()
	ok(t, a.revoke("sid 1"))
	b.until("it has looked by itself", func(x hybrid.Stats) bool { return b.reads() > reads && x.Redis.Pool.InUse == 0 })
	s.Kill()
	a.untilFallback()
	b.untilFallback()
	b.becomes("s:ended", "revoked") // without a read of it before
	s.Start()
	for _, r := range []*replica{a, b} {
		r.until("loss noticed", func(hybrid.Stats) bool { return r.log.count(hybrid.DataLost) == 1 })
		r.untilRestored()
		r.is("s:ended", "revoked")
	}
	if err := b.add("s:late", 10, "sid 1", "ann"); !errors.Is(err, cache.ErrConflict) {
		t.Errorf("the revocation entry is lost: %v", err)
	}
	b.becomes("s:left", "1")
	ok(t, b.revoke("bob")) // by an index that was made again
	for _, r := range []*replica{a, b} {
		r.becomes("s:left", "revoked")
	}
}

func TestARevocationIsHeldByItsReplica(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ok(t, startReplica(t, s, "x", nil).add("s:k", 0, "sid 1"))
	ok(t, a.revoke("sid 1"))
	s.Kill()
	a.untilFallback()
	a.is("s:k", "revoked")
}

func TestAnIndexWithManySessions(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	const n = 3000
	for i := 0; i < n; i++ {
		ok(t, a.add("s:"+strconv.Itoa(i), 0, "sid "+strconv.Itoa(i), "everybody"))
	}
	ok(t, a.revoke("everybody"))
	for i := 0; i < n; i += 7 {
		a.is("s:"+strconv.Itoa(i), "revoked")
	}
}

func TestAnIndexLastsAsLongAsItsSessions(t *testing.T) {
	s := startServer(t)
	a := startReplica(t, s, "x", nil)
	ctx := context.Background()
	ok(t, a.add("s:long", 0, "ann")) // an hour
	now := time.Now()
	short := cache.AppendHeader(nil, cache.Header{
		State: cache.Live, Version: 1, Expiry: now.Add(time.Second), End: now.Add(time.Second), Issued: time.Unix(1, 0),
		Links: []cache.Link{{Name: "ann.............", Listed: true}},
	})
	ok(t, a.Add(ctx, "s:short", short, time.Second))
	keys := s.Do("KEYS", "x:i:*")
	if len(keys.Elems) != 1 {
		t.Fatalf("%d indexes", len(keys.Elems))
	}
	if left := s.Do("PTTL", string(keys.Elems[0].Str)).Int; left < 59*60*1000 || left > 62*60*1000 {
		t.Errorf("the index lasts %d ms", left)
	}
	ok(t, a.revoke("ann"))
	a.becomes("s:long", "revoked")
}

func TestALeaseAmongReplicas(t *testing.T) {
	ctx := context.Background()
	s, app := startApp(t)
	a, b := startReplica(t, s, "x", app), startReplica(t, s, "x", app)
	ok(t, a.put("s:{ab}k", live(1)))
	lease := func(owner string) cache.Lease {
		return cache.Lease{Record: "s:{ab}k", Version: 1, Grant: "grant", Owner: owner, TTL: 300 * time.Millisecond, Keep: time.Hour}
	}
	// A lease that does not end during the test: a second holder of it fails the test.
	ok(t, a.put("s:{cd}k", live(1)))
	lasting := func(owner string) cache.Lease {
		l := lease(owner)
		l.Record, l.Grant, l.TTL = "s:{cd}k", "lasting", time.Minute
		return l
	}
	_, err := a.Acquire(ctx, lasting("a"))
	ok(t, err)
	if _, err := b.Acquire(ctx, lasting("b")); !errors.Is(err, cache.ErrExists) {
		t.Errorf("E6: a second holder: %v", err)
	}
	_, err = a.Acquire(ctx, lease("a"))
	ok(t, err)
	eventually.True(t, "the lease ends", func() bool {
		_, err = b.Acquire(ctx, lease("b"))
		return !errors.Is(err, cache.ErrExists)
	})
	if !errors.Is(err, cache.ErrSpent) {
		t.Errorf("E8: after its holder was gone: %v", err)
	}
	ok(t, a.Release(ctx, lease("a"), true))
	s.Kill()
	b.untilFallback()
	if _, err := b.Acquire(ctx, lease("b")); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("a lease in an outage: %v", err)
	}
}

func TestAnUnprovenRevocationTakesNoRoom(t *testing.T) {
	s, app := startApp(t)
	a := startReplica(t, s, "x", func(o *hybrid.Options) {
		app(o)
		o.JournalEntries = 10
	})
	ok(t, a.add("s:ann", 0, "sid ann"))
	ok(t, a.add("s:bob", 0, "sid bob"))
	s.Kill()
	a.untilFallback()
	journalled(t, a.add("s:made meanwhile", 0, "sid new"))
	ask := func(sid string) error {
		r := cachetest.Revoking(10, sid)
		r[0].Unproven = true
		return a.Revoke(context.Background(), r)
	}
	for i := 0; i < 100; i++ {
		if err := ask("made up " + strconv.Itoa(i)); !errors.Is(err, cache.ErrUnavailable) {
			t.Fatalf("K1: %v", err)
		}
	}
	if x := a.Stats(); x.Journal != 1 || x.JournalDropped != 0 {
		t.Errorf("K1: %d keys in the journal, %d dropped", x.Journal, x.JournalDropped)
	}
	if err := ask("sid ann"); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("a revocation that no other replica learns of: %v", err)
	}
	for i := 0; i < 20; i++ { // more than the journal holds
		_ = a.put("s:"+strconv.Itoa(i), revoked())
	}
	if err := a.revoke("sid bob"); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("a full journal promises: %v", err)
	}
	a.is("s:bob", "revoked")
	a.is("s:19", "revoked")
}

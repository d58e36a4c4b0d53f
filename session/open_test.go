package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

func TestAStoreThatIsReadAtEachRequest(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AlwaysRead = true })
	a := w.create(t, "ada")
	for i := 0; i < 5; i++ {
		if o := w.lookup(a); o != nil && w.clock.now().Before(o.Until) {
			t.Fatal("memory would serve without a read of the store")
		}
		w.mustBe(t, "ada", "__Host-oidc="+a)
	}
	if w.store.gets != 5 || w.views.count() != 1 {
		t.Errorf("read %d times, prepared %d times", w.store.gets, w.views.count())
	}
	w.store.fail(cache.ErrUnavailable)
	w.mustBe(t, "ada", "__Host-oidc="+a)
}

func TestAnUnreachableStore(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.create(t, "ada"), w.create(t, "bob")
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.store.fail(cache.ErrUnavailable)
	w.Changed(w.lookup(a).key)
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.ChangedAll()
	w.mustBe(t, "ada", "__Host-oidc="+a)
	w.mustFail(t, ErrUnavailable, "__Host-oidc="+b)
	if _, err := w.End(context.Background(), with("__Host-oidc="+a)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a sign-out that did not reach the store gave %v", err)
	}
	w.clock.turn(2 * time.Hour)
	w.mustFail(t, ErrUnavailable, "__Host-oidc="+a)
	w.store.fail(nil)
	w.mustFail(t, ErrNone, "__Host-oidc="+a)
}

func TestAFullMemoryDropsUnusedSessions(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxOpened = 8 })
	values := make([]string, 40)
	for i := range values {
		values[i] = w.create(t, "ada")
		w.mustBe(t, "ada", "__Host-oidc="+values[i])
		w.mustBe(t, "ada", "__Host-oidc="+values[0])
	}
	n := len(w.hot.Opened)
	for _, g := range w.older {
		n += len(g.opened)
	}
	if n > 8 {
		t.Errorf("%d sessions opened, at most 8 wanted", n)
	}
	if w.views.count() != 40 {
		t.Errorf("prepared %d times: the session in use was dropped", w.views.count())
	}
	if len(w.indexed) > len(w.hot.Opened) {
		t.Error("the index of records outgrows the sessions")
	}
}

func TestAnythingMayHaveChangedManyTimes(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	for i := 0; i < 3*generationsKept; i++ {
		w.mustBe(t, "ada", "__Host-oidc="+a)
		w.ChangedAll()
		if o := w.lookup(a); o != nil && w.clock.now().Before(o.Until) {
			t.Fatal("served from memory though anything may have changed")
		}
	}
	if n := len(w.older); n > generationsKept {
		t.Errorf("%d generations", n)
	}
	if w.views.count() != 1 {
		t.Errorf("prepared %d times", w.views.count())
	}
}

func TestManyRequestsOpenARecordOnce(t *testing.T) {
	w := newWorld(t, nil)
	a := w.create(t, "ada")
	var wg sync.WaitGroup
	for i := 0; i < 32; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if o, err := w.load("__Host-oidc=" + a); err != nil || o.Subject != "ada" {
				t.Errorf("got %v, %v", o, err)
			}
		}()
	}
	wg.Wait()
	if n := w.views.count(); n != 1 {
		t.Errorf("prepared %d times", n)
	}
}

// held is a store with a first read that is done at once and returns when the test
// releases it.
type held struct {
	*cache.Memory
	read    chan struct{} // closed when the read is done
	release chan struct{}
	reads   atomic.Int64
}

func (h *held) Get(ctx context.Context, key string) ([]byte, error) {
	b, err := h.Memory.Get(ctx, key)
	if h.reads.Add(1) == 1 {
		close(h.read)
		<-h.release
	}
	return b, err
}

func TestARequestAfterAChangeDoesNotWaitForAnEarlierRead(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(w *world, value string)
		want   error
	}{
		{"the session was ended", func(w *world, value string) {
			if _, err := w.End(context.Background(), with("__Host-oidc="+value)); err != nil {
				t.Error(err)
			}
		}, ErrNone},
		{"all sessions were cleared", func(w *world, value string) { _ = w.memory.Clear(context.Background()) }, ErrNone},
	} {
		t.Run(row.name, func(t *testing.T) {
			store := &held{read: make(chan struct{}), release: make(chan struct{})}
			w := newWorld(t, func(o *Options) {
				store.Memory = o.Backend.(*faulty).Memory
				o.Backend = store
			})
			a := w.create(t, "ada")
			first := make(chan error)
			go func() {
				_, err := w.load("__Host-oidc=" + a)
				first <- err
			}()
			<-store.read
			row.change(w, a)
			second := make(chan error, 1)
			go func() {
				_, err := w.load("__Host-oidc=" + a)
				second <- err
			}()
			select {
			case err := <-second:
				if !errors.Is(err, row.want) {
					t.Errorf("got %v, want %v", err, row.want)
				}
			case <-time.After(time.Minute):
				t.Error("waits for a read before the change")
			}
			close(store.release)
			<-first
			w.mustFail(t, ErrNone, "__Host-oidc="+a)
			if len(w.flights) != 0 {
				t.Error("a flight is left")
			}
		})
	}
}

// sized is a Preparer of sessions that are large in memory.
type sized struct{ bytes int }

func (p *sized) Prepare(s *Session) View {
	return View{Allowed: true, Subject: s.IDToken, Headers: []Field{{Name: "X-Groups", Value: strings.Repeat("g", p.bytes)}}}
}

func TestOpenedSessionsAreBoundedInBytes(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Preparer = &sized{bytes: 8 << 10}
		o.MaxBytes = 1 << 20
	})
	last := ""
	for i := 0; i < 500; i++ {
		last = w.create(t, "ada")
		w.mustBe(t, "ada", "__Host-oidc="+last)
	}
	held := len(w.hot.Opened)
	for _, g := range w.older {
		held += len(g.opened)
	}
	if held > 128 || held < 32 {
		t.Errorf("%d sessions of 8 KiB are opened", held)
	}
	if w.lookup(last) == nil {
		t.Error("the newest is not")
	}
}

func TestEverythingAtOnce(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxOpened = 16; o.IdleTimeout = time.Minute })
	values := make([]string, 24)
	for i := range values {
		values[i] = w.create(t, fmt.Sprintf("user %d", i))
	}
	var ended [24]atomic.Bool
	var wg sync.WaitGroup
	for i := 0; i < 24; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for j := 0; j < 60; j++ {
				k := (i + j) % 24
				dead := ended[k].Load()
				o, err := w.load("__Host-oidc=" + values[k])
				switch {
				case err == nil && o.Subject != fmt.Sprintf("user %d", k):
					t.Errorf("%s got the session of %s", values[k], o.Subject)
				case err == nil && dead:
					t.Error("an ended session is served")
				case err != nil && !errors.Is(err, ErrNone):
					t.Error(err)
				}
				switch {
				case j%20 == 5:
					w.clock.turn(time.Second)
				case j%20 == 10:
					w.Manager.ChangedAll()
				case j == 40 && i%3 == 0:
					if _, err := w.End(context.Background(), with("__Host-oidc="+values[i])); err != nil {
						t.Error(err)
					}
					ended[i].Store(true)
				}
			}
		}(i)
	}
	wg.Wait()
	for i := range values {
		if i%3 == 0 {
			w.mustFail(t, ErrNone, "__Host-oidc="+values[i])
		}
	}
	if len(w.flights) != 0 {
		t.Error("a flight is left")
	}
}

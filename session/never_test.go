package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// reasons is an Observer that keeps the causes of NeverRefreshed.
type reasons struct {
	mu   sync.Mutex
	list []error
}

func (s *reasons) Observe(e Event, subject string, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e == NeverRefreshed && subject == "ada" {
		s.list = append(s.list, cause)
	}
}

func TestNeverRefreshed(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(s *Session)
		want   error // nil: it is refreshed
	}{
		{"a session with a refresh token", func(s *Session) {}, nil},
		{"a session without one", func(s *Session) { s.RefreshToken = "" }, ErrNoRefreshToken},
		{"tokens without an expiry", func(s *Session) { s.AccessExpiry = time.Time{} }, ErrNoExpiry},
		{"tokens that outlive the session", func(s *Session) { s.AccessExpiry = s.Created.AddDate(1, 0, 0) }, ErrEndsBefore},
	} {
		t.Run(row.name, func(t *testing.T) {
			seen := &reasons{}
			f := newFleet(t, func(o *Options) { o.Observer = seen })
			s := &Session{
				Created: f.clock.now(), IDToken: "id", RefreshToken: "refresh", AccessExpiry: f.clock.now().Add(5 * time.Minute),
			}
			row.change(s)
			value, err := f.Create(context.Background(), s, 0, Origin{Issuer: "https://op", Subject: "ada", Issued: f.clock.now()})
			if err != nil {
				t.Fatal(err)
			}
			f.value = value
			for i := 0; i < 3; i++ {
				if _, err := f.at(f.Manager); err != nil {
					t.Fatal(err)
				}
				f.Manager.ChangedAll() // the next request reads the record again
			}
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if row.want == nil && len(seen.list) != 0 {
				t.Errorf("reported %v of a session that is refreshed", seen.list)
			}
			if row.want != nil && (len(seen.list) != 1 || !errors.Is(seen.list[0], row.want)) {
				t.Errorf("reported %v, want %v once", seen.list, row.want)
			}
		})
	}
}

func TestNeverRefreshedAgain(t *testing.T) {
	seen := &reasons{}
	f := newFleet(t, func(o *Options) { o.Observer = seen })
	f.serves(t, f.Manager, "access 0")
	f.grantor.lifetime = 365 * 24 * time.Hour
	f.clock.turn(5*time.Minute + time.Second)
	f.serves(t, f.Manager, "access 1")
	f.serves(t, f.Manager, "access 1")
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.list) != 1 || seen.list[0] != ErrEndsBefore {
		t.Errorf("reported %v, want %v once, after the refresh", seen.list, ErrEndsBefore)
	}
}

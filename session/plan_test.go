package session

import (
	"testing"
	"time"
)

func TestWhenASessionIsDue(t *testing.T) {
	at := newClock().now()
	rows := []struct {
		name            string
		lifetime, grace time.Duration
		refreshed       time.Duration // after the sign-in; zero: never
		none            bool          // no refresh token
		want            time.Duration // after the sign-in or the refresh; zero: never
		never           error
	}{
		{"a grace before", 5 * time.Minute, time.Minute, 0, false, 4 * time.Minute, nil},
		{"no grace", 5 * time.Minute, 0, 0, false, 5 * time.Minute, nil},
		{"a grace as long as the lifetime", 5 * time.Minute, 5 * time.Minute, 0, false, 150 * time.Second, nil},
		{"after a refresh", 5 * time.Minute, time.Minute, 10 * time.Minute, false, 4 * time.Minute, nil},
		{"a grace that leaves little", time.Minute, 58 * time.Second, 0, false, 10 * time.Second, nil},
		{"short lifetimes", 8 * time.Second, 7 * time.Second, 0, false, 4 * time.Second, nil},
		{"tiny lifetimes", time.Second, 0, 0, false, time.Second, nil},
		{"E12 a lifetime that is over already", -time.Minute, time.Minute, 0, false, 10 * time.Second, nil},
		{"without a refresh token", 5 * time.Minute, time.Minute, 0, true, 0, ErrNoRefreshToken},
		{"after the end", 2 * time.Hour, time.Minute, 0, false, 0, ErrEndsBefore},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) {
				o.Refresher = &grantor{}
				o.Grace = row.grace
			})
			s := &Session{Created: at, Expiry: at.Add(time.Hour), RefreshToken: "r"}
			since := at
			if row.refreshed > 0 {
				s.Refreshed = at.Add(row.refreshed)
				since = s.Refreshed
			}
			s.AccessExpiry = since.Add(row.lifetime)
			if row.none {
				s.RefreshToken = ""
			}
			due, never := w.due(s)
			if never != row.never {
				t.Errorf("the reason is %v, want %v", never, row.never)
			}
			if row.want == 0 != due.IsZero() || row.want != 0 && due.Sub(since) != row.want {
				t.Errorf("due at %s, %s after", due, due.Sub(since))
			}
		})
	}
}

func TestPausesBeforeTheNextRefresh(t *testing.T) {
	now := newClock().now()
	p := plan{due: now.UnixNano()}
	for _, row := range []struct {
		store bool
		wait  time.Duration
	}{{false, 5 * time.Second}, {false, 10 * time.Second}, {true, 5 * time.Second}, {true, 5 * time.Second}, {false, 10 * time.Second}} {
		p = p.putOff(now, 0, "", row.store)
		if wait := p.tried().retry.Sub(now); wait != row.wait {
			t.Errorf("put off by %s, want %s", wait, row.wait)
		}
	}
}

package interpreted

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/interpreted/backend"
)

// TestManyRefreshAtOnce has the sessions of many users refreshed at the same time. Every
// response has the name, the groups and the tokens of its own user. They are never of an
// earlier refresh than the last response had.
func TestManyRefreshAtOnce(t *testing.T) {
	const parallel = 3
	users, rounds := 24, 4
	if testing.Short() {
		users, rounds = 8, 2
	}
	var accounts []oidctest.User
	for i := range users {
		sub := fmt.Sprintf("user%02d", i)
		accounts = append(accounts, oidctest.User{Sub: sub, Email: sub + "@example.com", EmailVerified: true, Groups: []string{sub + "-0"}})
	}
	s := newMovable(t, setup{
		provider: oidctest.Options{Users: accounts, JWTAccessTokens: true},
		options:  map[string]any{"userinfo": "always", "allowedUserDomains": []any{"example.com"}},
	})
	members := make([]member, users)
	s.each(users, func(i int) { members[i] = s.member(accounts[i].Sub) })

	seen := make([]atomic.Int64, users) // the newest refresh in a response to each
	for round := 1; round <= rounds; round++ {
		for _, q := range accounts {
			s.provider.Change(q.Sub, func(q *oidctest.User) { q.Groups = []string{q.Sub + "-" + strconv.Itoa(round)} })
		}
		s.expire()
		s.each(users*parallel, func(i int) {
			m, newest := members[i%users], &seen[i%users]
			for range 4 {
				had := newest.Load()
				if n := s.own(m, s.me(m)); n < had {
					t.Errorf("%s went back from %d to %d", m.sub, had, n)
				} else {
					raise(newest, n)
				}
			}
		})
		for _, m := range members {
			eventually.True(t, "everybody's claims are of this round", func() bool { return s.own(m, s.me(m)) == int64(round) })
		}
		s.refreshes(users * round)
	}
}

// own checks that all values at the backend are of one user, and returns the number of
// their refresh.
func (s *site) own(m member, seen backend.Seen) int64 {
	s.t.Helper()
	groups := seen.Header.Get("X-User-Groups")
	sub, number, _ := strings.Cut(groups, "-")
	n, err := strconv.ParseInt(number, 10, 64)
	access := s.claimsOf(seen.Header.Get("X-Access"))
	if err != nil || sub != m.sub || seen.Header.Get("X-Sub") != m.sub || seen.Header.Get("X-Sid") != m.sid ||
		seen.Header.Get("X-Forwarded-User") != m.sub+"@example.com" || access["sub"] != m.sub {
		s.t.Errorf("%s gets %q %q %q %q, with an access token of %v", m.sub, groups, seen.Header.Get("X-Sub"),
			seen.Header.Get("X-Sid"), seen.Header.Get("X-Forwarded-User"), access["sub"])
	}
	return n
}

func raise(v *atomic.Int64, to int64) {
	for had := v.Load(); had < to && !v.CompareAndSwap(had, to); had = v.Load() {
	}
}

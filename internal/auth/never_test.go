package auth

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestLogSaysWhyASessionIsNeverRefreshed(t *testing.T) {
	for _, c := range []struct {
		name   string
		level  slog.Level
		maxAge time.Duration
		tokens oidctest.RefreshPolicy
		want   string // empty: there is no line
	}{
		{"no refresh token", slog.LevelDebug, time.Hour, oidctest.RefreshNever, "there is no refresh token"},
		{"a session that ends before", slog.LevelDebug, time.Minute, oidctest.RefreshAlways, "sessionMaxAge"},
		{"a session that is refreshed", slog.LevelDebug, time.Hour, oidctest.RefreshAlways, ""},
		{"not above the level debug", slog.LevelInfo, time.Hour, oidctest.RefreshNever, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, nil)
			s.Middleware = s.another(func(o *Options) {
				o.MaxAge = c.maxAge
				o.RefreshGrace = time.Minute
				o.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: c.level}))
			})
			s.handler = s.Handler(http.HandlerFunc(s.backend))
			s.provider.Set(func(p *oidctest.Behaviour) { p.RefreshTokens = c.tokens })
			b := s.signedIn("alice")
			for i := 0; i < 3; i++ {
				s.status(b.open("/"), http.StatusOK)
			}
			if c.want == "" {
				if lines := s.lines("is never refreshed"); len(lines) != 0 {
					t.Errorf("lines %q", lines)
				}
				return
			}
			if lines := s.lines("is never refreshed"); len(lines) != 1 || len(s.lines(c.want)) != 1 {
				t.Errorf("lines %q, want one with %q", lines, c.want)
			}
		})
	}
}

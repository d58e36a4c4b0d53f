package traefikoidc

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// Handlers and reloads that name one file write through one writer.
func TestOneWriterForAFile(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	path := filepath.Join(t.TempDir(), "oidc.log")
	a, err := logWriter(&user{ctx: ctx}, path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := logWriter(&user{ctx: ctx}, path)
	if err != nil || a != b {
		t.Errorf("another writer, or none: %v", err)
	}
	if _, err := logWriter(&user{ctx: ctx}, filepath.Join(path, "oidc.log")); err == nil || !strings.Contains(err.Error(), "logFile: "+path) {
		t.Errorf("a file below a file: %v", err)
	}
}

func TestTheFormatOfLines(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, config.Log{Level: "warn", Format: "json"}, "m").Info("quiet")
	newLogger(&out, config.Log{Level: "warn", Format: "json"}, "m").Warn("loud")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["msg"] != "loud" || line["middleware"] != "m" {
		t.Errorf("%s: %v", &out, err)
	}
	out.Reset()
	newLogger(&out, config.Log{Level: "info", Format: "text"}, "m").Info("ready")
	if !strings.Contains(out.String(), "level=INFO msg=ready plugin=traefikoidc middleware=m") {
		t.Errorf("%s", &out)
	}
}

// A store logs where the middleware that was configured last logs: a reload that names
// another logFile makes no other store.
func TestAStoreLogsWhereTheNewestMiddlewareDoes(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := config.New()
	c.ProviderURL = "https://id.example.com"
	c.ClientID = "app"
	c.ClientSecret = oidctest.NewSecret()
	c.SessionEncryptionKey = oidctest.NewSecret()
	c.CallbackURL = "/oauth2/callback"
	s, err := config.Parse(c, config.Environment{})
	if err != nil {
		t.Fatal(err)
	}
	var before, after bytes.Buffer
	for _, out := range []*bytes.Buffer{&before, &after} {
		m := &made{log: newLogger(out, config.Log{}, "logging_test")}
		if err := m.acquire(&user{ctx: ctx}, s, "logging_test"); err != nil {
			t.Fatal(err)
		}
	}
	key, err := storeKey(s.Redis)
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Shared.Acquire(ctx, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.(*store).line().Info("something")
	if strings.Contains(before.String(), "something") || !strings.Contains(after.String(), "msg=something") {
		t.Errorf("before: %q, after: %q", &before, &after)
	}
}

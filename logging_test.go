package traefikoidc

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/config"
)

// Handlers and reloads that name one file write through one writer.
func TestOneWriterForAFile(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	path := filepath.Join(t.TempDir(), "oidc.log")
	a, err := logWriter(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := logWriter(ctx, path)
	if err != nil || a != b {
		t.Errorf("another writer, or none: %v", err)
	}
	if _, err := logWriter(ctx, filepath.Join(path, "oidc.log")); err == nil || !strings.Contains(err.Error(), "logFile: "+path) {
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

// A store goes on where the middleware that was configured last logs.
func TestAStoreLogsWhereTheNewestMiddlewareDoes(t *testing.T) {
	var before, after bytes.Buffer
	s := &store{address: "redis:6379", backend: cache.NewMemory(cache.MemoryOptions{})}
	s.logTo(newLogger(&before, config.Log{}, "m"))
	s.logTo(newLogger(&after, config.Log{}, "m"))
	s.line().Info("something")
	if before.Len() > 0 || !strings.Contains(after.String(), "address=redis:6379") {
		t.Errorf("before: %q, after: %q", &before, &after)
	}
}

package interpreted

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A logLine has the fields of a line of JSON that tests read.
type logLine struct {
	Level, Msg, Plugin, Middleware, Code string
}

// logLines are those of the file; each must be JSON.
func logLines(t *testing.T, path string) []logLine {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []logLine
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Plugin != "traefikoidc" {
			t.Errorf("a line of %s is %q: %v", path, line, err)
		}
		all = append(all, l)
	}
	return all
}

func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oidc.log")
	s := newSite(t, setup{options: map[string]any{"logFile": path, "logFormat": "json", "allowedUsers": []any{"bob@example.test"}}})
	before := s.plugin.Log.Len()
	refused := func() {
		t.Helper()
		s.status(s.signIn(s.browser(), "/x", "alice"), 403)
	}
	told := func(path string) {
		t.Helper()
		for _, l := range logLines(t, path) {
			if l.Code == "not_allowed" && l.Middleware == t.Name() && l.Level == "WARN" {
				return
			}
		}
		t.Errorf("%s does not tell of the refusal: %+v", path, logLines(t, path))
	}
	refused()
	told(path)
	if lines := logLines(t, path); lines[0].Msg != "middleware ready" {
		t.Errorf("the first line is %+v", lines[0])
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	refused()
	told(path)
	told(path + ".1")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".1", path); err != nil {
		t.Fatal(err)
	}
	length := len(logLines(t, path+".1"))
	if text := s.plugin.Log.Since(before); text != "" {
		t.Errorf("beside the file: %s", text)
	}
	refused()
	if text := s.plugin.Log.Since(before); !strings.Contains(text, "logFile cannot be written") || !strings.Contains(text, `"code":"not_allowed"`) {
		t.Errorf("the lines that go nowhere else are lost: %s", text)
	}
	if n := len(logLines(t, path+".1")); n != length {
		t.Errorf("%d lines went through a link", n-length)
	}
}

// Two middlewares and a reload write to one file. Handlers of the configuration before go
// on writing.
func TestLogFileIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oidc.log")
	s := newSite(t, setup{options: map[string]any{"logFile": path, "logFormat": "json"}})
	for _, name := range []string{"second", "third"} {
		ctx, cancel := context.WithCancel(context.Background())
		options := optionsFor(s.provider)
		options["logFile"] = path
		options["logFormat"] = "json"
		m, err := s.plugin.Middleware(t.Name()+" "+name, options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Handler(ctx, s.echo); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	s.signedIn("alice")
	ready := map[string]bool{}
	for _, l := range logLines(t, path) {
		ready[l.Msg+" "+strings.TrimPrefix(l.Middleware, t.Name())] = true
	}
	for _, want := range []string{"middleware ready ", "middleware ready  second", "middleware ready  third", "signed in "} {
		if !ready[want] {
			t.Errorf("no line %q: %v", want, ready)
		}
	}
}

func TestLogFileThatCannotBeOpened(t *testing.T) {
	s := newSite(t, setup{})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none", "oidc.log"): "its directory does not exist",
		link:        "it is a symbolic link",
		t.TempDir(): "it is not a regular file",
		"oidc.log":  "must be stdout, stderr or an absolute path",
	} {
		text := s.refusedOptions(map[string]any{"logFile": path})
		if !strings.Contains(text, "logFile: ") || !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", path, text, want)
		}
	}
}

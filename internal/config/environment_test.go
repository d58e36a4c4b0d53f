package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	env := environment(map[string]string{"A": "1", "B_2": "${A}", "EMPTY": ""}, nil)
	rows := []struct{ in, want, unset string }{
		{"", "", ""},
		{"plain $A", "plain $A", ""},
		{"${A}", "1", ""},
		{"x${A}y${A}z", "x1y1z", ""},
		{"${EMPTY}", "", ""},
		{"${B_2}", "${A}", ""}, // once
		{"$${A}", "${A}", ""},
		{"$${A}${A}", "${A}1", ""},
		{"$$${A}", "$${A}", ""},
		{"${claims.email}", "${claims.email}", ""},
		{"${a}", "${a}", ""},
		{"${}", "${}", ""},
		{"${A", "${A", ""},
		{"${${A}}", "${1}", ""},
		{"${NO}x${NO_2}", "x", "NO NO_2"},
		{"Bearer {{.AccessToken}}", "Bearer {{.AccessToken}}", ""},
	}
	for _, row := range rows {
		got, unset := env.expand(row.in)
		if got != row.want || strings.Join(unset, " ") != row.unset {
			t.Errorf("%q: got %q, unset %v", row.in, got, unset)
		}
	}
}

func TestSystemFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	env := System()
	if b, err := env.read(filepath.Join(dir, "link"), 8); err != nil || string(b) != "12345678" {
		t.Errorf("got %q, %v", b, err)
	}
	for _, row := range []struct {
		path string
		want string
	}{
		{path, "is too long"},
		{dir, "is not a regular file"},
		{"/dev/zero", "is not a regular file"},
		{filepath.Join(dir, "none"), "does not exist"},
	} {
		if _, err := env.read(row.path, 7); err == nil || fileProblem(err) != row.want {
			t.Errorf("%s: %v, want %s", row.path, err, row.want)
		}
	}
	if _, err := (Environment{}).read(path, 8); !errors.Is(err, errNoFiles) {
		t.Errorf("got %v", err)
	}
	t.Setenv("CONFIG_TEST_VARIABLE", "x")
	if value, found := env.lookup("CONFIG_TEST_VARIABLE"); !found || value != "x" {
		t.Error("the variable is not found")
	}
}

package logfile

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// write appends a line and checks that this does not fail.
func write(t *testing.T, f *File, line string) {
	t.Helper()
	if n, err := f.Write([]byte(line + "\n")); err != nil || n != len(line)+1 {
		t.Errorf("writing %q: %d, %v", line, n, err)
	}
}

func opened(t *testing.T, path string) (*File, *bytes.Buffer) {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	fallback := &bytes.Buffer{}
	f.fallback = fallback
	return f, fallback
}

func TestLinesAreAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oidc.log")
	f, fallback := opened(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	write(t, f, "one")
	f.Close()
	f, _ = opened(t, path)
	write(t, f, "two")
	if got := read(t, path); got != "one\ntwo\n" || fallback.Len() > 0 {
		t.Errorf("the file has %q, standard error %q", got, fallback)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if f, _ = opened(t, path); f == nil {
		t.Fatal("not opened")
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("the operator's mode became %v", info.Mode())
	}
}

func TestARotatedFileIsCreatedAnew(t *testing.T) {
	for name, rotate := range map[string]func(path string) error{
		"moved away":     func(path string) error { return os.Rename(path, path+".1") },
		"removed":        os.Remove,
		"made anew":      func(path string) error { return os.Rename(filepath.Join(filepath.Dir(path), "new"), path) },
		"cut to nothing": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "oidc.log")
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "new"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			f, fallback := opened(t, path)
			write(t, f, "before")
			if err := rotate(path); err != nil {
				t.Fatal(err)
			}
			write(t, f, "after")
			if got := read(t, path); got != "after\n" || fallback.Len() > 0 {
				t.Errorf("the file has %q, standard error %q", got, fallback)
			}
		})
	}
}

// Open refuses a path that is not a regular file. If the path becomes such later, no
// line is written to it.
func TestOnlyRegularFilesAreWritten(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "oidc.log")
	for name, row := range map[string]struct {
		put  func() error
		want string
	}{
		"a link":            {func() error { return os.Symlink(target, path) }, "is a symbolic link"},
		"a link to nothing": {func() error { return os.Symlink(filepath.Join(dir, "made"), path) }, "is a symbolic link"},
		"a directory":       {func() error { return os.Mkdir(path, 0o700) }, "is not a regular file"},
	} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		f, fallback := opened(t, path)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := row.put(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: opened: %v", name, err)
		}
		write(t, f, "one")
		write(t, f, "two")
		if got := fallback.String(); strings.Count(got, "logFile cannot be written") != 1 || !strings.Contains(got, row.want) || !strings.HasSuffix(got, "\none\ntwo\n") {
			t.Errorf("%s: standard error has %q", name, got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		write(t, f, "three")
		if got := read(t, path); got != "three\n" {
			t.Errorf("%s: mended, the file has %q", name, got)
		}
	}
	if got := read(t, target); got != "kept\n" {
		t.Errorf("the target of the link has %q", got)
	}
	if _, err := os.Lstat(filepath.Join(dir, "made")); err == nil {
		t.Error("the target of a link was created")
	}
}

func TestErrorsOfOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none", "oidc.log"): "its directory does not exist; create it",
		filepath.Join(file, "oidc.log"):                "not a directory",
		"/dev/null":                                    "is not a regular file",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// A handler of an old configuration may write after its file was closed. The file is
// closed again after the line.
func TestALineAfterCloseIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oidc.log")
	f, _ := opened(t, path)
	f.Close()
	write(t, f, "late")
	if got := read(t, path); got != "late\n" || f.file != nil {
		t.Errorf("the file has %q and is open: %v", got, f.file != nil)
	}
}

// A failed write loses no line and fails no request.
func TestAWriteThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oidc.log")
	f, fallback := opened(t, path)
	if err := f.file.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, f, "one")
	if got := fallback.String(); !strings.Contains(got, "error=\"file already closed\"") || !strings.HasSuffix(got, "\none\n") {
		t.Errorf("standard error has %q", got)
	}
}

// Two processes write to one file while it is rotated.
func TestLinesOfManyWritersStayWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oidc.log")
	f, fallback := opened(t, path)
	other, otherFallback := opened(t, path)
	const writers, lines = 8, 50
	var all sync.WaitGroup
	for i := 0; i < writers; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			to := f
			if i%2 == 0 {
				to = other
			}
			for n := 0; n < lines; n++ {
				_, _ = to.Write([]byte(fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 100))))
			}
		}(i)
	}
	for n := 0; n < 100; n++ {
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, n)); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	}
	all.Wait()
	write(t, f, "end")
	found := 0
	err := filepath.WalkDir(filepath.Dir(path), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, line := range strings.Split(strings.TrimSuffix(read(t, name), "\n"), "\n") {
			if len(line) == 102 {
				found++
			} else if line != "" && line != "end" {
				t.Errorf("%s: a line is %q", name, line)
			}
		}
		return nil
	})
	if err != nil || found != writers*lines || fallback.Len() > 0 || otherFallback.Len() > 0 {
		t.Errorf("%d lines, %v; standard error has %q%q", found, err, fallback, otherFallback)
	}
}

// Package logfile writes log lines to the file of an operator. logrotate, for example,
// may move the file away.
package logfile

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
)

// A File appends lines to the file at one path. Each Write checks the path first. If the
// file was moved away or removed, it creates a new one. A line that cannot be written to
// the file goes to standard error. A File is safe for concurrent use.
type File struct {
	path     string
	fallback io.Writer // standard error, except in tests

	mu     sync.Mutex // guards the fields below
	file   *os.File   // nil: not open
	info   fs.FileInfo
	broken bool // the last line was not written to the file
	closed bool // by Close: the file is open during a Write only
}

// Open opens the file at an absolute path. It creates a missing file with mode 0600 and
// keeps the mode of an existing one. It fails if the path names a symbolic link or
// anything else that is not a regular file, if its directory is missing, or if the
// system refuses. The error does not contain the path.
func Open(path string) (*File, error) {
	f := &File{path: path, fallback: os.Stderr}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// Write writes one whole line. It always returns len(line) and nil, so that no request
// depends on its log.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.reopenIfMoved()
	if err == nil {
		if _, err = f.file.Write(line); err != nil {
			err = reason(err)
		}
	}
	if f.closed {
		f.shut()
	}
	if err == nil {
		f.broken = false
		return len(line), nil
	}
	f.reportOnce(err)
	_, _ = f.fallback.Write(line)
	return len(line), nil
}

// Close closes the file. A later Write opens it for one line, because a request may
// outlive the configuration that it began with.
func (f *File) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.shut()
}

func (f *File) shut() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}

// reopenIfMoved opens the file at the path, unless it is open already.
func (f *File) reopenIfMoved() error {
	if f.file != nil {
		now, err := os.Lstat(f.path)
		if err == nil && os.SameFile(now, f.info) {
			return nil
		}
		f.shut()
	}
	return f.open()
}

// reportOnce writes to standard error why lines appear there, before the first of them.
func (f *File) reportOnce(err error) {
	if f.broken {
		return
	}
	f.broken = true
	slog.New(slog.NewTextHandler(f.fallback, nil)).Error("logFile cannot be written; log lines go to standard error until it can be",
		"plugin", "traefikoidc", "path", f.path, "error", err.Error())
}

var (
	errNotRegular = errors.New("it is not a regular file; name one, or stdout or stderr")
	errLink       = errors.New("it is a symbolic link, which is not followed; name the file itself")
	errChanged    = errors.New("it was replaced while it was opened")
	errNoFolder   = errors.New("its directory does not exist; create it")
)

// maxTries is the maximum of attempts to open a file that others move or create at the
// same time.
const maxTries = 10

func (f *File) open() error {
	err := f.tryOpen()
	for i := 1; i < maxTries && errors.Is(err, errChanged); i++ {
		err = f.tryOpen()
	}
	return err
}

// tryOpen opens a regular file for appending, or creates it if there is none. It creates
// exclusively, which follows no link. Then it checks the path again, so that no line is
// written through a link that was created meanwhile. errChanged: the path changed
// meanwhile.
func (f *File) tryOpen() error {
	flags := os.O_WRONLY | os.O_APPEND
	before, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		flags |= os.O_CREATE | os.O_EXCL
	case err != nil:
		return reason(err)
	case before.Mode()&fs.ModeSymlink != 0:
		return errLink
	case !before.Mode().IsRegular():
		return errNotRegular
	}
	file, err := os.OpenFile(f.path, flags, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return errChanged
	case errors.Is(err, fs.ErrNotExist) && flags&os.O_CREATE == 0:
		return errChanged
	case err != nil:
		return reason(err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return reason(err)
	}
	now, err := os.Lstat(f.path)
	if err != nil || !info.Mode().IsRegular() || !os.SameFile(now, info) {
		_ = file.Close()
		return errChanged
	}
	f.file = file
	f.info = info
	return nil
}

// reason returns err without the path, which the caller names.
func reason(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errNoFolder
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

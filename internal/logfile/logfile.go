// Package logfile writes log lines to a file that an operator names, and that
// another program may move away, as logrotate does.
package logfile

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
)

// A File appends lines to the file of one path. It is safe for concurrent use. Each
// Write looks at the path first: where the file was moved away or removed, a new one
// is created. A line that cannot be written to the file goes to standard error.
type File struct {
	path  string
	spare io.Writer // standard error, but in tests

	mu     sync.Mutex // guards the fields below
	file   *os.File   // nil: not open
	info   fs.FileInfo
	broken bool // the last line did not reach the file
	closed bool // the file is open only during a Write
}

// Open returns the file of an absolute path, which it creates with mode 0600 where
// there is none. The mode of a file that exists stays. The error says in words why
// lines cannot be appended: the path names a symbolic link or anything else that is
// not a regular file, its directory is missing, or the system refuses.
func Open(path string) (*File, error) {
	f := &File{path: path, spare: os.Stderr}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// Write implements io.Writer for one whole line. It never fails: what happens to a
// request does not depend on its log.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.follow()
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
	f.complain(err)
	_, _ = f.spare.Write(line)
	return len(line), nil
}

// Close closes the file. A later Write opens it for that line alone: a request may
// outlive the configuration that named the file.
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

// follow opens the file that the path names now, if that is another one than before.
func (f *File) follow() error {
	if f.file != nil {
		now, err := os.Lstat(f.path)
		if err == nil && os.SameFile(now, f.info) {
			return nil
		}
		f.shut()
	}
	return f.open()
}

// complain says once on standard error why lines appear there.
func (f *File) complain(err error) {
	if f.broken {
		return
	}
	f.broken = true
	slog.New(slog.NewTextHandler(f.spare, nil)).Error("logFile cannot be written; lines go to standard error until it can",
		"plugin", "traefikoidc", "path", f.path, "error", err.Error())
}

var (
	errNotRegular = errors.New("it is not a regular file; name one, or stdout or stderr")
	errLink       = errors.New("it is a symbolic link, which is not followed; name the file itself")
	errChanged    = errors.New("it was replaced while it was opened")
	errNoFolder   = errors.New("its directory does not exist; create it")
)

// maxTries bounds how often a file is opened that others move or create meanwhile.
const maxTries = 10

// open opens the file.
func (f *File) open() error {
	err := f.tryOpen()
	for i := 1; i < maxTries && errors.Is(err, errChanged); i++ {
		err = f.tryOpen()
	}
	return err
}

// tryOpen appends to a regular file, or creates one where the path names nothing:
// exclusively, which follows no link. It looks at the path again afterwards, so that
// a link that was put there meanwhile gets no line.
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

// reason is err in words, without the path that the caller names.
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

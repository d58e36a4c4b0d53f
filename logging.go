package traefikoidc

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/logfile"
	"github.com/traefikoidc/traefikoidc/internal/registry"
)

// logWriter returns the destination of log lines: standard output, standard error, or
// the file of that path, which all middlewares that name it share.
func logWriter(u *user, file string) (io.Writer, error) {
	if file == "" || file == "stdout" {
		return os.Stdout, nil
	}
	if file == "stderr" {
		return os.Stderr, nil
	}
	var b registry.Builder = &logBuilder{path: file}
	r, err := u.acquire("log "+file, b)
	if err != nil {
		return nil, err
	}
	return r.(*logfile.File), nil
}

type logBuilder struct {
	path string
}

// Build opens the file.
func (b *logBuilder) Build() (registry.Resource, error) {
	f, err := logfile.Open(b.path)
	if err != nil {
		return nil, fmt.Errorf("traefikoidc: logFile: %s cannot be written: %w", b.path, err)
	}
	return f, nil
}

// newLogger returns a logger that writes lines of at least the level of o to w.
func newLogger(w io.Writer, o config.Log, name string) *slog.Logger {
	var l slog.Level
	if l.UnmarshalText([]byte(o.Level)) != nil {
		l = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: l}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if o.Format == "json" {
		h = slog.NewJSONHandler(w, options)
	}
	return slog.New(h).With("plugin", "traefikoidc", "middleware", name)
}

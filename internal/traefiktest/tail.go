package traefiktest

import (
	"io"
	"sync"
)

// maxTail is the number of bytes of Traefik's output that are kept.
const maxTail = 8 << 10

// A tail keeps the last maxTail bytes written to it and passes everything to next.
type tail struct {
	next io.Writer // nil: none

	mu   sync.Mutex // guards kept
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxTail; over > 0 {
		t.kept = append([]byte(nil), t.kept[over:]...)
	}
	t.mu.Unlock()
	if t.next != nil {
		_, _ = t.next.Write(p)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

package oidc

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// zipped returns text compressed by gzip.
func zipped(t testing.TB, text io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// endless reads the letter a without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// The transport accepts compressed responses. The limit applies to their size after
// decompression.
func TestCompressedResponses(t *testing.T) {
	bomb := strings.Repeat(zipped(t, io.LimitReader(endless{}, 1<<20)), 256) // gzip members in a row are one file
	if len(bomb) >= maxBody {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for _, row := range []struct {
		name, body string
		sentinel   error
		what       string
	}{
		{"F16 a response that unfolds to 256 MB", bomb, ErrLost, "too large"},
		{"F16 one byte too much", zipped(t, strings.NewReader(strings.Repeat(" ", maxBody+1))), ErrLost, "too large"},
		{"F16 a response of the usual size", zipped(t, strings.NewReader(`{"access_token":"a","id_token":"i"}`)), nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBed(t, oidctest.Options{}, Options{Timeout: time.Minute})
			b.op.Set(func(be *oidctest.Behaviour) {
				be.Faults[oidctest.Token] = oidctest.Fault{Status: 200, Type: "application/json", Encoding: "gzip", Body: row.body}
			})
			if _, err := b.rp.Metadata(context.Background()); err != nil {
				t.Fatal(err)
			}
			before := allocated()
			if _, err := b.rp.Refresh(context.Background(), "refresh"); !failsWith(err, row.sentinel, row.what) {
				t.Errorf("got %v", err)
			}
			if n := (allocated() - before) >> 20; n > 32 {
				t.Errorf("%d MB were allocated", n)
			}
		})
	}
}

// allocated returns the bytes allocated since the process started.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

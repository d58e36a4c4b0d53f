package headers

import (
	"io"
	"net/http"
)

// A trailerGuard is the chunked body of a request. net/http adds its trailer to the
// request when the body has been read. HTTP/2 adds only the announced names, and needs
// no guard.
type trailerGuard struct {
	body    io.ReadCloser
	request *http.Request
	cleaner *Cleaner
}

func (c *Cleaner) guardTrailer(r *http.Request) {
	var body io.ReadCloser = &trailerGuard{body: r.Body, request: r, cleaner: c}
	r.Body = body
}

// Read reads the body, and cleans the trailer at its end. A trailer that cannot be
// cleaned is left out.
func (g *trailerGuard) Read(p []byte) (int, error) {
	n, err := g.body.Read(p)
	if err != nil && g.request.Trailer != nil && !g.cleaner.cleanTrailer(g.request.Trailer) {
		g.request.Trailer = nil
	}
	return n, err
}

// Close closes the body.
func (g *trailerGuard) Close() error {
	return g.body.Close()
}

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
// cleaned is emptied, and not replaced, because copies of the request share its map.
func (g *trailerGuard) Read(p []byte) (int, error) {
	n, err := g.body.Read(p)
	if err != nil && g.request.Trailer != nil && !g.cleaner.cleanTrailer(g.request.Trailer) {
		empty(g.request.Trailer)
	}
	return n, err
}

// empty removes all names. net/http reads trailers of some kilobytes at most.
func empty(t http.Header) {
	for name := range t {
		delete(t, name)
	}
}

// Close closes the body.
func (g *trailerGuard) Close() error {
	return g.body.Close()
}

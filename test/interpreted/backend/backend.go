// Package backend is a protected site that echoes its requests.
package backend

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Seen is one request at the backend.
type Seen struct {
	Method  string
	URI     string
	Path    string
	Host    string
	Header  http.Header
	Trailer http.Header
	Body    string

	Announced []string // names in the trailer before the body was read
}

// Names returns the spellings of the headers that are equal to name if "-" and "_" are
// the same and case is ignored.
func (s Seen) Names(name string) []string {
	var found []string
	for _, h := range []http.Header{s.Header, s.Trailer} {
		for k := range h {
			if fold(k) == fold(name) {
				found = append(found, k)
			}
		}
	}
	return found
}

func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) }

// Echo responds to every request with a Seen as JSON, and keeps it.
type Echo struct {
	Answer func(w http.ResponseWriter, r *http.Request) bool // nil, or false: the echo responds

	mu   sync.Mutex // guards the field below
	seen []Seen
}

func (e *Echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var announced []string
	for name := range r.Trailer {
		announced = append(announced, name)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := Seen{
		Method: r.Method, URI: r.RequestURI, Path: r.URL.EscapedPath(), Host: r.Host,
		Header: r.Header.Clone(), Trailer: r.Trailer.Clone(), Body: string(body), Announced: announced,
	}
	e.mu.Lock()
	e.seen = append(e.seen, s)
	e.mu.Unlock()
	if e.Answer != nil && e.Answer(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s)
}

// Count returns the number of requests.
func (e *Echo) Count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

// Last returns the newest request. It is the zero Seen if none came.
func (e *Echo) Last() Seen {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.seen) == 0 {
		return Seen{}
	}
	return e.seen[len(e.seen)-1]
}

// Read returns the echo in the body of a response.
func Read(body []byte) (Seen, error) {
	var s Seen
	err := json.Unmarshal(body, &s)
	return s, err
}

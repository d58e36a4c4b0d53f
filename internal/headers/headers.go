// Package headers sets the request headers that describe a user to the backend, and the
// security headers of responses.
//
// A Cleaner removes from a request every header that only this middleware may set, in
// every spelling. Build computes those headers from a session: the standard ones, and
// the operator's templates. Security and CORS hold response headers, computed once.
package headers

// A Header is one header to set, in its canonical spelling, with a value of
// printable ASCII.
type Header struct {
	Name, Value string
}

// maxValue bounds a header's value, in bytes. A longer value is left out as a whole,
// because half a list of groups is another list of groups.
const maxValue = 8 << 10

// Build returns the headers that describe a user to the backend. They are the standard
// headers, then the templates; a template replaces a standard header of its name. A
// template without its claim leaves its header out, also a standard one, because a
// fallback would be another kind of name. The second result names the headers that were
// left out because they were too long. t may be nil.
func Build(u User, t *Templates, d Data) ([]Header, []string) {
	var kept []Header
	var dropped []string
	for _, h := range all(u, t, d) {
		if len(h.Value) > maxValue {
			dropped = append(dropped, h.Name)
			continue
		}
		kept = append(kept, h)
	}
	return kept, dropped
}

func all(u User, t *Templates, d Data) []Header {
	standard := standard(u)
	if t == nil {
		return standard
	}
	var set []Header
	for _, h := range standard {
		if !t.names[spelling(h.Name)] {
			set = append(set, h)
		}
	}
	return append(set, t.render(d)...)
}

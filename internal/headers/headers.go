// Package headers makes what the backend sees of a person, and what browsers see
// of our security settings.
//
// A Cleaner removes from a request every header that only this middleware may
// set, whatever its spelling. Build computes those headers anew from a session:
// the standard ones, and the operator's templates. Security and CORS hold
// response headers, computed once.
package headers

// A Header is one header to set, in its canonical spelling, with a value of
// printable ASCII.
type Header struct {
	Name, Value string
}

// maxValue bounds a header's value, in bytes. What is longer is left out as a
// whole: half a list of groups is another list of groups.
const maxValue = 8 << 10

// Build returns what the backend is told about a person: the standard headers,
// each replaced by the operator's template of that name if there is one, then the
// other templates. A template whose claim is missing leaves its header out, also
// a standard one: a fallback would be another kind of name. The second result
// names the headers that were left out because they were too long. t may be nil.
func Build(p Person, t *Templates, d Data) ([]Header, []string) {
	var kept []Header
	var dropped []string
	for _, h := range all(p, t, d) {
		if len(h.Value) > maxValue {
			dropped = append(dropped, h.Name)
			continue
		}
		kept = append(kept, h)
	}
	return kept, dropped
}

func all(p Person, t *Templates, d Data) []Header {
	standard := Standard(p)
	if t == nil {
		return standard
	}
	var set []Header
	for _, h := range standard {
		if !t.names[spelling(h.Name)] {
			set = append(set, h)
		}
	}
	return append(set, t.Render(d)...)
}

package resp

import (
	"fmt"
	"strings"
)

// Kind is the type of a reply.
type Kind byte

// The types of RESP2 and RESP3. The nil bulk string and the nil array of RESP2
// are Null, like the null of RESP3. Verbatim strings are Bulk.
const (
	Null   Kind = '_'
	Status Kind = '+'
	Error  Kind = '-'
	Int    Kind = ':'
	Bulk   Kind = '$'
	Array  Kind = '*'
	Double Kind = ','
	Bool   Kind = '#'
	BigInt Kind = '('
	Map    Kind = '%'
	Set    Kind = '~'
	Push   Kind = '>'
)

// A Reply is the reply of a server to one command. The zero value is no reply.
type Reply struct {
	Kind  Kind
	Str   []byte  // the content of a Bulk, Status or BigInt, the first word of an Error
	Int   int64   // the value of an Int or a Bool, for which 1 is true
	Float float64 // the value of a Double
	Elems []Reply // of an Array, Set or Push; of a Map key, value, key, value; of an Error a redirect

	err error // why there is no reply
}

// Err is nil when the server carried the command out. Otherwise it is the server's
// refusal, or the reason why there is no reply.
func (r Reply) Err() error {
	if r.err != nil {
		return r.err
	}
	if r.Kind == Error {
		return refused(string(r.Str)).err
	}
	return nil
}

// Bytes is the content of a Bulk or Status. It fails with ErrNil for Null.
func (r Reply) Bytes() ([]byte, error) {
	if r.Kind == Bulk || r.Kind == Status {
		return r.Str, nil
	}
	return nil, r.unlike("a string")
}

// Integer is the value of an Int or Bool. It fails with ErrNil for Null.
func (r Reply) Integer() (int64, error) {
	if r.Kind == Int || r.Kind == Bool {
		return r.Int, nil
	}
	return 0, r.unlike("an integer")
}

// Strings are the contents of an Array or Set of strings. An element that is
// Null is "". It fails with ErrNil for Null.
func (r Reply) Strings() ([]string, error) {
	if r.Kind != Array && r.Kind != Set {
		return nil, r.unlike("an array")
	}
	out := make([]string, 0, len(r.Elems))
	for i := range r.Elems {
		e := r.Elems[i]
		if e.Kind != Bulk && e.Kind != Status && e.Kind != Null {
			return nil, e.unlike("a string")
		}
		out = append(out, string(e.Str))
	}
	return out, nil
}

func (r Reply) unlike(want string) error {
	if err := r.Err(); err != nil {
		return err
	}
	if r.Kind == Null {
		return ErrNil
	}
	return fmt.Errorf("%w: reply is not %s", ErrProtocol, want)
}

// InfoField returns a field of the reply to INFO. It is empty where the server has no
// such field or refused.
func InfoField(r Reply, name string) string {
	text, err := r.Bytes()
	if err != nil {
		return ""
	}
	_, after, found := strings.Cut("\n"+string(text), "\n"+name+":")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

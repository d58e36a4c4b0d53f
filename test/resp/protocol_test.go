package resp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	radix "github.com/mediocregopher/radix/v4/resp"
	"github.com/mediocregopher/radix/v4/resp/resp3"

	"github.com/traefikoidc/traefikoidc/resp"
)

// show returns a reply as text, so that replies can be compared.
func show(r resp.Reply) string {
	switch r.Kind {
	case resp.Int, resp.Bool:
		return fmt.Sprintf("%c%d", r.Kind, r.Int)
	case resp.Double:
		return fmt.Sprintf(",%v", r.Float)
	case resp.Array, resp.Map, resp.Set, resp.Push:
		var items []string
		for _, e := range r.Elems {
			items = append(items, show(e))
		}
		return fmt.Sprintf("%c[%s]", r.Kind, strings.Join(items, " "))
	}
	return fmt.Sprintf("%c%s", r.Kind, r.Str)
}

// TestEveryTypeOfARealServer reads the replies to DEBUG PROTOCOL in either protocol
// to their end.
func TestEveryTypeOfARealServer(t *testing.T) {
	s := startServer(t)
	want := map[string][2]string{ // RESP2, RESP3
		"string":   {"$Hello World", "$Hello World"},
		"integer":  {":12345", ":12345"},
		"double":   {"$3.141", ",3.141"},
		"null":     {"_", "_"},
		"array":    {"*[:0 :1 :2]", "*[:0 :1 :2]"},
		"set":      {"*[:0 :1 :2]", "~[:0 :1 :2]"},
		"map":      {"*[:0 :0 :1 :1 :2 :0]", "%[:0 #0 :1 #1 :2 #0]"},
		"attrib":   {"$Some real reply following the attribute", "$Some real reply following the attribute"},
		"push":     {"-ERR", ">[$server-cpu-usage :42]"},
		"verbatim": {"$This is a verbatim\nstring", "$This is a verbatim\nstring"},
		"true":     {":1", "#1"},
		"false":    {":0", "#0"},
		"bignum":   {"$1234567999999999999999999999999999999", "(1234567999999999999999999999999999999"},
	}
	for i, hello := range []string{"HELLO 2\r\n", "HELLO 3\r\n"} {
		nc, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		r := resp.NewReader(nc, resp.Limits{})
		ask := func(command string) resp.Reply {
			t.Helper()
			if _, err := io.WriteString(nc, command); err != nil {
				t.Fatal(err)
			}
			reply, err := r.ReadReply()
			if err != nil {
				t.Fatalf("%q: %v", command, err)
			}
			return reply
		}
		ask(hello)
		for kind, shown := range want {
			got := ask("DEBUG PROTOCOL " + kind + "\r\n")
			if show(got) != shown[i] {
				t.Errorf("%q, %s: %s, want %s", hello, kind, show(got), shown[i])
			}
			if kind == "push" && i == 1 {
				// A push comes beside the reply.
				if _, err := r.ReadReply(); err != nil {
					t.Error(err)
				}
			}
			if got := ask("PING\r\n"); show(got) != "+PONG" {
				t.Fatalf("after %s: %s", kind, show(got))
			}
		}
	}
}

// A pipeReader is a connection that brings the bytes of r.
type pipeReader struct {
	net.Conn
	r *bytes.Reader
}

func (p pipeReader) Read(b []byte) (int, error)       { return p.r.Read(b) }
func (p pipeReader) Write(b []byte) (int, error)      { return len(b), nil }
func (p pipeReader) Close() error                     { return nil }
func (p pipeReader) SetDeadline(time.Time) error      { return nil }
func (p pipeReader) SetReadDeadline(time.Time) error  { return nil }
func (p pipeReader) SetWriteDeadline(time.Time) error { return nil }

// dangerous reports whether redigo or radix may panic or run out of memory with in.
func dangerous(in []byte) bool {
	for _, line := range bytes.Split(in, []byte("\r\n")) {
		if len(line) > 5 || bytes.Contains(line, []byte("-")) && len(line) > 0 && line[0] != ':' && !bytes.Equal(line, []byte("$-1")) && !bytes.Equal(line, []byte("*-1")) && line[0] != '-' {
			return true
		}
	}
	return false
}

var oracleSeeds = []string{
	"+OK\r\n", "-ERR x\r\n", ":12\r\n", ":-7\r\n", "$3\r\nabc\r\n", "$0\r\n\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n",
	"*2\r\n$1\r\na\r\n:1\r\n", "*1\r\n*1\r\n+x\r\n", "$3\r\nabcd\r\n", "+O\nK\r\n", "*1\r\n$-1\r\n",
}

// FuzzAgainstRedigo compares our replies with those of redigo.
func FuzzAgainstRedigo(f *testing.F) {
	for _, in := range oracleSeeds {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 200 || dangerous(in) {
			return
		}
		got, err := resp.NewReader(bytes.NewReader(in), resp.Limits{}).ReadReply()
		if err != nil {
			return
		}
		c := redis.NewConn(pipeReader{r: bytes.NewReader(in)}, time.Second, time.Second)
		theirs, err := c.Receive()
		if said, isError := err.(redis.Error); isError && got.Kind == resp.Error {
			if word, _, _ := strings.Cut(string(said), " "); word != string(got.Str) && string(got.Str) != "ERR" {
				t.Errorf("%q: ours %s, theirs %v", in, show(got), err)
			}
			return
		}
		if err != nil {
			if strings.ContainsAny(string(in), "_#,(!=%~>|") || got.Kind == resp.Int {
				return // redigo does not know RESP3 and :+1
			}
			t.Fatalf("%q: ours %s, theirs %v", in, show(got), err)
		}
		compare(t, in, got, theirs)
	})
}

func compare(t *testing.T, in []byte, got resp.Reply, theirs any) {
	t.Helper()
	same := false
	switch v := theirs.(type) {
	case nil:
		same = got.Kind == resp.Null
	case int64:
		same = got.Kind == resp.Int && got.Int == v
	case string:
		same = got.Kind == resp.Status && string(got.Str) == v
	case []byte:
		same = got.Kind == resp.Bulk && bytes.Equal(got.Str, v)
	case redis.Error:
		same = got.Kind == resp.Error
	case []any:
		same = got.Kind == resp.Array && len(got.Elems) == len(v)
		for i := range got.Elems {
			if same {
				compare(t, in, got.Elems[i], v[i])
			}
		}
	}
	if !same {
		t.Errorf("%q: ours %s, theirs %v", in, show(got), theirs)
	}
}

// FuzzAgainstRadix compares our scalars of RESP3 with those of radix.
func FuzzAgainstRadix(f *testing.F) {
	for _, in := range append([]string{"_\r\n", "#t\r\n", "#f\r\n", ",1.5\r\n", ",inf\r\n", ",-inf\r\n", "(123\r\n", "=7\r\ntxt:abc\r\n", "!5\r\nERR x\r\n"}, oracleSeeds...) {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 200 || dangerous(in) {
			return
		}
		got, err := resp.NewReader(bytes.NewReader(in), resp.Limits{}).ReadReply()
		if err != nil {
			return
		}
		switch got.Kind {
		case resp.Int:
			var n resp3.Number
			if n.UnmarshalRESP(bufio.NewReader(bytes.NewReader(in)), radix.NewOpts()) == nil && n.N != got.Int {
				t.Errorf("%q: ours %d, theirs %d", in, got.Int, n.N)
			}
		case resp.Double:
			var d resp3.Double
			if d.UnmarshalRESP(bufio.NewReader(bytes.NewReader(in)), radix.NewOpts()) == nil && d.F != got.Float && !math.IsNaN(d.F) {
				t.Errorf("%q: ours %v, theirs %v", in, got.Float, d.F)
			}
		case resp.Bool:
			var b resp3.Boolean
			if b.UnmarshalRESP(bufio.NewReader(bytes.NewReader(in)), radix.NewOpts()) == nil && b.B != (got.Int == 1) {
				t.Errorf("%q: ours %v, theirs %v", in, got.Int, b.B)
			}
		case resp.Bulk:
			var b resp3.BlobString
			if in[0] == '$' && b.UnmarshalRESP(bufio.NewReader(bytes.NewReader(in)), radix.NewOpts()) == nil && b.S != string(got.Str) {
				t.Errorf("%q: ours %q, theirs %q", in, got.Str, b.S)
			}
		}
	})
}

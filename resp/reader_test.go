package resp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func bulk(s string) Reply { return Reply{Kind: Bulk, Str: []byte(s)} }

func TestReadReply(t *testing.T) {
	rows := []struct {
		name, in string
		want     Reply
	}{
		{"status", "+OK\r\n", Reply{Kind: Status, Str: []byte("OK")}},
		{"error is reduced to its first word", "-WRONGTYPE of secret-key\r\n", Reply{Kind: Error, Str: []byte("WRONGTYPE")}},
		{"error whose first word is data", "-secret-key is bad\r\n", Reply{Kind: Error, Str: []byte("ERR")}},
		{"integer", ":-42\r\n", Reply{Kind: Int, Int: -42}},
		{"integer with sign", ":+7\r\n", Reply{Kind: Int, Int: 7}},
		{"bulk", "$5\r\na\r\nbc\r\n", bulk("a\r\nbc")},
		{"empty bulk", "$0\r\n\r\n", bulk("")},
		{"nil bulk", "$-1\r\n", Reply{Kind: Null}},
		{"nil array", "*-1\r\n", Reply{Kind: Null}},
		{"null", "_\r\n", Reply{Kind: Null}},
		{"empty array", "*0\r\n", Reply{Kind: Array, Elems: []Reply{}}},
		{"array with nil", "*3\r\n$1\r\na\r\n$-1\r\n:1\r\n", Reply{Kind: Array, Elems: []Reply{bulk("a"), {Kind: Null}, {Kind: Int, Int: 1}}}},
		{"nested", "*1\r\n*1\r\n+x\r\n", Reply{Kind: Array, Elems: []Reply{{Kind: Array, Elems: []Reply{{Kind: Status, Str: []byte("x")}}}}}},
		{"double", ",-1.5e3\r\n", Reply{Kind: Double, Float: -1500}},
		{"infinity", ",-inf\r\n", Reply{Kind: Double, Float: math.Inf(-1)}},
		{"true", "#t\r\n", Reply{Kind: Bool, Int: 1}},
		{"false", "#f\r\n", Reply{Kind: Bool}},
		{"big number", "(-3492890328409238509324850943850943825024385\r\n", Reply{Kind: BigInt, Str: []byte("-3492890328409238509324850943850943825024385")}},
		{"bulk error", "!21\r\nSYNTAX invalid syntax\r\n", Reply{Kind: Error, Str: []byte("SYNTAX")}},
		{"verbatim", "=7\r\ntxt:abc\r\n", bulk("abc")},
		{"map", "%1\r\n+k\r\n:1\r\n", Reply{Kind: Map, Elems: []Reply{{Kind: Status, Str: []byte("k")}, {Kind: Int, Int: 1}}}},
		{"set", "~1\r\n:1\r\n", Reply{Kind: Set, Elems: []Reply{{Kind: Int, Int: 1}}}},
		{"push", ">1\r\n+x\r\n", Reply{Kind: Push, Elems: []Reply{{Kind: Status, Str: []byte("x")}}}},
		{"attribute is dropped", "|1\r\n+ttl\r\n:3\r\n$1\r\na\r\n", bulk("a")},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			src := strings.NewReader(row.in + "+next\r\n")
			d := NewReader(src, Limits{})
			got, err := d.ReadReply()
			if err != nil || !reflect.DeepEqual(got, row.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, row.want)
			}
			next, err := d.ReadReply()
			if err != nil || string(next.Str) != "next" {
				t.Fatalf("consumed too much or too little: %+v, %v", next, err)
			}
			for n := 0; n < len(row.in); n++ {
				_, err := NewReader(strings.NewReader(row.in[:n]), Limits{}).ReadReply()
				if want := io.ErrUnexpectedEOF; n > 0 && !errors.Is(err, want) || n == 0 && err != io.EOF {
					t.Fatalf("cut after %d bytes: %v", n, err)
				}
			}
		})
	}
}

// malformedReplies are replies that no honest server sends. J5
var malformedReplies = []struct{ name, in string }{
	{"line ended by LF alone", "+OK\n"},
	{"CR inside a line", "+O\rK\r\n"},
	{"empty line", "\r\n"},
	{"type alone", "$\r\n"},
	{"unknown type", "HTTP/1.1 400 Bad Request\r\n"},
	{"bulk length -5", "$-5\r\n"},
	{"bulk length with sign", "$+5\r\nhello\r\n"},
	{"bulk length with space", "$ 5\r\nhello\r\n"},
	{"bulk length beyond int64", "$99999999999999999999\r\n"},
	{"bulk over the limit", "$2000000000\r\n"},
	{"bulk over the limit of one string", "$1048577\r\n"},
	{"streamed bulk", "$?\r\n"},
	{"bulk without end", "$5\r\nhelloXX"},
	{"array length -7", "*-7\r\n"},
	{"array over the limit", "*1000000000\r\n"},
	{"map over the limit", "%40000\r\n"},
	{"nil map", "%-1\r\n"},
	{"nil push", ">-1\r\n"},
	{"array of arrays over the limit", "*1000\r\n*65000\r\n"},
	{"too deep", strings.Repeat("*1\r\n", 20000000/4)},
	{"attributes without end", strings.Repeat("|0\r\n", 100000)},
	{"line over the limit", "+" + strings.Repeat("x", 20000000) + "\r\n"},
	{"integer", ":1a\r\n"},
	{"integer beyond int64", ":99999999999999999999\r\n"},
	{"null with content", "_x\r\n"},
	{"boolean", "#x\r\n"},
	{"double", ",0x10\r\n"},
	{"double with underscore", ",1_0\r\n"},
	{"big number", "(1a\r\n"},
	{"short verbatim", "=3\r\ntxt\r\n"},
	{"nil verbatim", "=-1\r\n"},
}

func TestMalformedRepliesCostAnErrorAndNoMemory(t *testing.T) {
	for _, row := range malformedReplies {
		t.Run("J5 "+row.name, func(t *testing.T) {
			src := strings.NewReader(row.in)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := NewReader(src, Limits{}).ReadReply()
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("error is %v", err)
			}
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 2<<20 {
				t.Errorf("took %d bytes", cost)
			}
		})
	}
}

func TestStringsOfAReplyAreBoundedTogether(t *testing.T) {
	in := "*3\r\n" + strings.Repeat("$4\r\nabcd\r\n", 3)
	if _, err := NewReader(strings.NewReader(in), Limits{Total: 11}).ReadReply(); !errors.Is(err, ErrProtocol) {
		t.Errorf("error is %v", err)
	}
	if _, err := NewReader(strings.NewReader(in), Limits{Total: 12}).ReadReply(); err != nil {
		t.Errorf("error is %v", err)
	}
}

func TestABulkIsGivenMemoryAsItArrives(t *testing.T) {
	src := strings.NewReader("$1000000\r\nabc")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(src, Limits{}).ReadReply()
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) || after.TotalAlloc-before.TotalAlloc > 200<<10 {
		t.Errorf("%v after %d bytes", err, after.TotalAlloc-before.TotalAlloc)
	}
	long := bytes.Repeat([]byte("0123456789"), 30000)
	in := append(append([]byte("$300000\r\n"), long...), "\r\n"...)
	r, err := NewReader(bytes.NewReader(in), Limits{}).ReadReply()
	if err != nil || !bytes.Equal(r.Str, long) {
		t.Errorf("a string of several steps: %v", err)
	}
}

// FuzzReadReply: no panic, memory in proportion to the input, and exactly the
// bytes of a reply consumed.
func FuzzReadReply(f *testing.F) {
	for _, row := range malformedReplies {
		if len(row.in) < 1000 {
			f.Add([]byte(row.in))
		}
	}
	for _, in := range []string{"+OK\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n$-1\r\n", "%1\r\n+a\r\n,1.5\r\n", "|1\r\n+a\r\n+b\r\n>1\r\n_\r\n", "=7\r\ntxt:abc\r\n"} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		src := bytes.NewReader(in)
		d := NewReader(src, Limits{Line: 256, Bulk: 4096, Elements: 64, Depth: 4, Total: 8192})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := d.ReadReply()
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(400*len(in)+64<<10) {
			t.Fatalf("%d bytes for an input of %d", cost, len(in))
		}
		if err != nil {
			return
		}
		used := len(in) - src.Len() - d.br.Buffered()
		again := bytes.NewReader(in[:used])
		d = NewReader(again, Limits{Line: 256, Bulk: 4096, Elements: 64, Depth: 4, Total: 8192})
		same, err := d.ReadReply()
		if err != nil || !equal(r, same) || again.Len()+d.br.Buffered() != 0 {
			t.Fatalf("reads %+v and then %+v, %v", r, same, err)
		}
		if _, err := NewReader(bytes.NewReader(in[:used-1]), Limits{Line: 256, Bulk: 4096}).ReadReply(); err == nil {
			t.Fatal("did not need its last byte")
		}
	})
}

// equal is reflect.DeepEqual but for NaN.
func equal(a, b Reply) bool {
	if a.Kind == Double && math.IsNaN(a.Float) {
		return b.Kind == Double && math.IsNaN(b.Float)
	}
	if len(a.Elems) != len(b.Elems) {
		return false
	}
	for i := range a.Elems {
		if !equal(a.Elems[i], b.Elems[i]) {
			return false
		}
	}
	return a.Kind == b.Kind && bytes.Equal(a.Str, b.Str) && a.Int == b.Int && a.Float == b.Float
}

package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits bound one reply of a server. A reply that exceeds them is ErrProtocol,
// before memory is set aside for it.
type Limits struct {
	// Line is the longest line in bytes: a status, an error, a number, or the
	// header of anything else. Zero means 16 KiB.
	Line int
	// Bulk is the longest string in bytes. Zero means 1 MiB.
	Bulk int
	// Elements is the number of elements of all arrays, sets and maps of a
	// reply together. Zero means 65,536.
	Elements int
	// Depth is how deep arrays, sets and maps may nest. Zero means 8.
	Depth int
	// Total is the size of all strings of a reply together in bytes. Zero
	// means 16 MiB.
	Total int
}

func (l Limits) withDefaults() Limits {
	l.Line = orDefault(l.Line, 16<<10)
	l.Bulk = orDefault(l.Bulk, 1<<20)
	l.Elements = orDefault(l.Elements, 64<<10)
	l.Depth = orDefault(l.Depth, 8)
	l.Total = orDefault(l.Total, 16<<20)
	return l
}

func orDefault(v, d int) int {
	if v <= 0 {
		return d
	}
	return v
}

// bulkStep is the most memory in bytes for a string before its bytes have arrived.
const bulkStep = 64 << 10

// A Reader decodes replies. It consumes exactly the bytes of a reply, and
// after an error it must not be used again.
// https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
type Reader struct {
	br     *bufio.Reader
	limits Limits

	elements int // left for the reply being read
	total    int // bytes left for the reply being read
}

// NewReader returns a Reader of the replies in r.
func NewReader(r io.Reader, l Limits) *Reader {
	l = l.withDefaults()
	return &Reader{br: bufio.NewReaderSize(r, l.Line), limits: l}
}

// ReadReply reads one reply. An error of the server is a Reply, not an error.
// A failure of the source is returned as it is: io.EOF only when not a single
// byte of a reply had come. ErrProtocol is returned for bytes that are no reply.
func (d *Reader) ReadReply() (Reply, error) {
	d.elements, d.total = d.limits.Elements, d.limits.Total
	return d.read(d.limits.Depth)
}

// readInto is ReadReply for the replies of most commands. Like hot.go it is
// written for the interpreter, so strings are read in place.
func readInto(d *Reader, r *Reply) error {
	line, err := d.br.ReadSlice('\n')
	n := len(line) - 2
	d.elements, d.total = d.limits.Elements, d.limits.Total
	if string(line) == "+OK\r\n" {
		r.Kind, r.Str = Status, []byte("OK")
		return nil
	}
	if string(line) == "$-1\r\n" {
		r.Kind = Null
		return nil
	}
	if err != nil || n < 2 || line[0] != '$' || line[n] != '\r' || line[1] < '0' {
		return d.readOther(line, err, r)
	}
	size, err := strconv.Atoi(string(line[1:n]))
	if err != nil || size > d.limits.Bulk || size > bulkStep {
		return d.readOther(line, nil, r)
	}
	b := make([]byte, size+2)
	if _, err := io.ReadFull(d.br, b); err != nil {
		return cutShort(err)
	}
	if b[size] != '\r' || b[size+1] != '\n' {
		return malformed("string not ended by CR LF")
	}
	r.Kind, r.Str = Bulk, b[:size:size]
	return nil
}

// readOther reads the rest of any reply that begins with line. The read of line
// returned err.
func (d *Reader) readOther(line []byte, err error, r *Reply) error {
	line, err = whole(line, err)
	if err == nil {
		*r, err = d.reply(line, d.limits.Depth)
	}
	return err
}

func (d *Reader) read(depth int) (Reply, error) {
	line, err := d.line()
	if err != nil {
		return Reply{}, err
	}
	return d.reply(line, depth)
}

// reply reads the rest of a reply that begins with line.
func (d *Reader) reply(line []byte, depth int) (Reply, error) {
	kind, rest := Kind(line[0]), line[1:]
	switch kind {
	case Bulk, '!', '=':
		return d.bulk(kind, rest)
	case Array, Map, Set, Push, '|':
		return d.aggregate(kind, rest, depth)
	}
	return scalar(kind, rest)
}

// line reads a line and returns it without its end, valid until the next read.
// It has one byte at least.
func (d *Reader) line() ([]byte, error) {
	return whole(d.br.ReadSlice('\n'))
}

// whole returns a line without its end, or an error if the line is not whole.
func whole(line []byte, err error) ([]byte, error) {
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, malformed("line too long")
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	n := len(line) - 2
	if n < 1 || bytes.IndexByte(line, '\r') != n {
		return nil, malformed("line not ended by CR LF")
	}
	return line[:n], nil
}

func scalar(kind Kind, text []byte) (Reply, error) {
	switch kind {
	case Status:
		return Reply{Kind: Status, Str: bytes.Clone(text)}, nil
	case Error:
		return failureOf(string(text)), nil
	case Int:
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return Reply{}, malformed("integer")
		}
		return Reply{Kind: Int, Int: n}, nil
	case Null:
		if len(text) != 0 {
			return Reply{}, malformed("null")
		}
		return Reply{Kind: Null}, nil
	case Bool:
		return boolean(string(text))
	case Double:
		return double(string(text))
	case BigInt:
		digits := strings.TrimPrefix(strings.TrimPrefix(string(text), "-"), "+")
		if digits == "" || strings.Trim(digits, "0123456789") != "" {
			return Reply{}, malformed("big number")
		}
		return Reply{Kind: BigInt, Str: bytes.Clone(text)}, nil
	}
	return Reply{}, malformed("unknown type")
}

func boolean(text string) (Reply, error) {
	switch text {
	case "t":
		return Reply{Kind: Bool, Int: 1}, nil
	case "f":
		return Reply{Kind: Bool}, nil
	}
	return Reply{}, malformed("boolean")
}

func double(text string) (Reply, error) {
	switch text {
	case "inf", "-inf", "nan":
	case "-nan":
		text = "nan"
	default:
		if strings.Trim(text, "+-.0123456789eE") != "" {
			return Reply{}, malformed("double")
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return Reply{}, malformed("double")
	}
	return Reply{Kind: Double, Float: f}, nil
}

// length reads the length in a header: -1 for nil, or a number of only digits.
func length(text []byte, most int) (int, error) {
	if len(text) == 2 && text[0] == '-' && text[1] == '1' {
		return -1, nil
	}
	if len(text) == 0 || text[0] < '0' || text[0] > '9' {
		return 0, malformed("length")
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return 0, malformed("length")
	}
	if n > most {
		return 0, malformed("reply over the limit")
	}
	return n, nil
}

func (d *Reader) bulk(kind Kind, header []byte) (Reply, error) {
	n, err := length(header, d.limits.Bulk)
	if err != nil {
		return Reply{}, err
	}
	if n < 0 {
		if kind != Bulk {
			return Reply{}, malformed("length")
		}
		return Reply{Kind: Null}, nil
	}
	if d.total -= n; d.total < 0 {
		return Reply{}, malformed("reply over the limit")
	}
	b, err := d.body(n)
	if err != nil {
		return Reply{}, err
	}
	switch kind {
	case '!':
		return failureOf(string(b)), nil
	case '=':
		if n < 4 || b[3] != ':' {
			return Reply{}, malformed("verbatim string")
		}
		return Reply{Kind: Bulk, Str: b[4:]}, nil
	}
	return Reply{Kind: Bulk, Str: b}, nil
}

// body reads n bytes and the end of line after them.
func (d *Reader) body(n int) ([]byte, error) {
	left := n + 2
	var b []byte
	for left > 0 {
		step := left
		if step > bulkStep {
			step = bulkStep
		}
		have := len(b)
		b = append(b, make([]byte, step)...)
		if _, err := io.ReadFull(d.br, b[have:]); err != nil {
			return nil, cutShort(err)
		}
		left -= step
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return nil, malformed("string not ended by CR LF")
	}
	return b[:n:n], nil
}

func (d *Reader) aggregate(kind Kind, header []byte, depth int) (Reply, error) {
	n, err := length(header, d.limits.Elements)
	if err != nil {
		return Reply{}, err
	}
	if n < 0 {
		if kind != Array {
			return Reply{}, malformed("length")
		}
		return Reply{Kind: Null}, nil
	}
	if kind == Map || kind == '|' {
		n *= 2
	}
	if d.elements -= n; d.elements < 0 {
		return Reply{}, malformed("reply over the limit")
	}
	if depth == 0 {
		return Reply{}, malformed("nested too deep")
	}
	r := Reply{Kind: kind, Elems: []Reply{}}
	for i := 0; i < n; i++ {
		e, err := d.read(depth - 1)
		if err != nil {
			return Reply{}, cutShort(err)
		}
		r.Elems = append(r.Elems, e)
	}
	if kind == '|' {
		// An attribute describes the reply that follows it.
		after, err := d.read(depth - 1)
		return after, cutShort(err)
	}
	return r, nil
}

// cutShort turns an end of input inside a reply into io.ErrUnexpectedEOF.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func malformed(part string) error {
	return fmt.Errorf("%w: %s", ErrProtocol, part)
}

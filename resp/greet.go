package resp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// manners says which commands a server understands. It is learnt when connections are
// opened, because proxies and older servers differ. The zero values describe Redis 6 or
// later.
type manners struct {
	plain atomic.Bool  // HELLO is refused or ends the connection: AUTH comes first
	proof atomic.Int64 // the command that proves that a connection is in step

	tls *tlsCache // of Options.TLSFiles
}

func newManners() *manners {
	return &manners{tls: &tlsCache{}}
}

// The proofs that a connection is in step with its server.
const (
	proofUnknown = iota
	proofPing    // PING with a text: the server sends the text back
	proofEcho    // ECHO: PING is answered by PONG whatever its argument (Envoy)
	proofPong    // PING without a text: the server has no ECHO, as some proxies
)

// errHello is returned when the server refused HELLO in a way that says nothing about
// the credentials, or closed the connection at it.
var errHello = errors.New("resp: HELLO is refused")

// greet authenticates and selects. With plain it sends no HELLO for RESP2. A server
// that does not know HELLO is greeted again, as before Redis 6.
func (x *conn) greet(o *Options, proto int, plain bool) error {
	if plain {
		return x.greetPlain(o, proto)
	}
	hello := []string{"HELLO", strconv.Itoa(proto)}
	if o.Password != "" || o.Username != "" {
		user := o.Username
		if user == "" {
			user = "default"
		}
		hello = append(hello, "AUTH", user, o.Password)
	}
	replies, err := x.present([][]string{hello}, o)
	if err != nil {
		if isCut(err) {
			return fmt.Errorf("%w: %w", errHello, err)
		}
		return err
	}
	if outdated(replies[0]) && proto == 2 {
		return x.greetPlain(o, proto)
	}
	err = accepted(replies, 1, o)
	if err == nil && !o.Node && isOfCluster(replies[0]) {
		return ErrClusterNode
	}
	if word := string(replies[0].Str); replies[0].Kind == Error && (word == "NOAUTH" || word == "NOPERM") && o.Password != "" {
		return fmt.Errorf("%w: %w", errHello, err)
	}
	return err
}

// isOfCluster reports whether the reply to HELLO is that of a node of a cluster.
func isOfCluster(hello Reply) bool {
	for i := 0; i+1 < len(hello.Elems); i += 2 {
		if string(hello.Elems[i].Str) == "mode" {
			return string(hello.Elems[i+1].Str) == "cluster"
		}
	}
	return false
}

// greetPlain authenticates by AUTH, as before Redis 6. HELLO follows only for RESP3.
func (x *conn) greetPlain(o *Options, proto int) error {
	first := [][]string{{"PING"}}
	switch {
	case o.Password != "" && o.Username != "":
		first = [][]string{{"AUTH", o.Username, o.Password}}
	case o.Password != "":
		first = [][]string{{"AUTH", o.Password}}
	}
	if proto == 3 {
		first = append(first, []string{"HELLO", "3"})
	}
	replies, err := x.present(first, o)
	if err != nil {
		return err
	}
	if loading := string(replies[0].Str) == "LOADING"; loading && first[0][0] == "PING" {
		replies[0] = Reply{Kind: Status}
	}
	return accepted(replies, len(first), o)
}

// isCut reports whether err says that the server closed the connection.
func isCut(err error) bool {
	return errors.Is(err, ErrNotSent) && !errors.Is(err, ErrProtocol) && !errors.Is(err, os.ErrDeadlineExceeded) &&
		!errors.Is(err, ErrMaxClients)
}

// outdated reports that a server knows no HELLO, or not this protocol.
func outdated(hello Reply) bool {
	word := string(hello.Str)
	return hello.Kind == Error && (word == "UNKNOWN" || word == "NOPROTO" || word == "ERR")
}

// present sends first, and then the selection and the name.
func (x *conn) present(first [][]string, o *Options) ([]Reply, error) {
	var b []byte
	for _, cmd := range first {
		b = appendCommand(b, cmd)
	}
	n := len(first)
	if o.DB != 0 {
		b = appendCommand(b, []string{"SELECT", strconv.Itoa(o.DB)})
		n++
	}
	if o.ClientName != "" {
		b = appendCommand(b, []string{"CLIENT", "SETNAME", o.ClientName})
		n++
	}
	replies := make([]Reply, n)
	got, err := x.converse(b, replies)
	if got > 0 && replies[0].Kind == Error && string(replies[0].Str) == "MAXCLIENTS" {
		return nil, ErrMaxClients
	}
	if got > 0 && replies[0].Kind == Error && string(replies[0].Str) == "DENIED" {
		return nil, ErrDenied
	}
	if err == nil && !x.clean() {
		err = malformed("more replies than commands")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return replies, nil
}

// accepted checks the replies to the first n commands and to SELECT. A connection cannot
// do without those. Only its name may be refused.
func accepted(replies []Reply, n int, o *Options) error {
	for i := 0; i < n; i++ {
		if err := replies[i].Err(); err != nil {
			return unaccepted("authentication", err)
		}
	}
	if o.DB == 0 {
		return nil
	}
	if err := replies[n].Err(); err != nil {
		return unaccepted(fmt.Sprintf("SELECT %d", o.DB), err)
	}
	return nil
}

// unaccepted makes an error of the reply to a step of the handshake.
func unaccepted(step string, err error) error {
	if !errors.Is(err, ErrTerminal) {
		return fmt.Errorf("resp: %s: %w", step, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrHandshake, step, err)
}

// learnProof gives x the proof that its server understands. The first connection of a
// client tries each.
func (x *conn) learnProof(m *manners) error {
	x.proof = int(m.proof.Load())
	if x.proof != proofUnknown {
		return nil
	}
	x.proof = proofPing
	r, err := x.askProof()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if r.Kind == Bulk && bytes.Equal(r.Str, x.num) {
		m.proof.Store(proofPing)
		return nil
	}
	if r.Kind == Error && unproven(string(r.Str)) {
		return nil
	}
	x.proof = proofEcho
	r, err = x.askProof()
	if err == nil && r.Kind == Bulk && bytes.Equal(r.Str, x.num) {
		m.proof.Store(proofEcho)
		return nil
	}
	m.proof.Store(proofPong)
	if err != nil {
		x.close()
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	x.proof = proofPong
	return nil
}

// askProof sends only a proof and returns the reply.
func (x *conn) askProof() (Reply, error) {
	var got [1]Reply
	_, err := x.converse(x.appendProof(x.out[:0]), got[:])
	if err == nil && !x.clean() {
		err = errOutOfStep
	}
	return got[0], err
}

// appendProof appends the command that proves that x is in step, with a nonce where the
// server sends one back.
func (x *conn) appendProof(b []byte) []byte {
	x.nonce++
	x.num = strconv.AppendUint(x.num[:0], x.nonce, 36)
	if x.proof == proofPong {
		return append(b, "*1\r\n$4\r\nPING\r\n"...)
	}
	if x.proof == proofEcho {
		b = append(b, "*2\r\n$4\r\nECHO"...)
	} else {
		b = append(b, "*2\r\n$4\r\nPING"...)
	}
	b = appendSize(b, len(x.num))
	b = append(b, x.num...)
	return append(b, "\r\n"...)
}

// proven reads the reply to a proof, and makes sure that nothing follows it.
func (x *conn) proven() error {
	var got [1]Reply
	if _, err := x.read(got[:]); err != nil {
		return err
	}
	r := got[0]
	known := r.Kind == Bulk && bytes.Equal(r.Str, x.num)
	if x.proof == proofPong {
		known = isPong(r)
	}
	if r.Kind == Error {
		known = unproven(string(r.Str))
	}
	if !known || !x.clean() {
		return errOutOfStep
	}
	return nil
}

func isPong(r Reply) bool {
	return (r.Kind == Status || r.Kind == Bulk) && string(r.Str) == "PONG"
}

// prove sends only a proof and verifies the reply.
func (x *conn) prove() error {
	if _, err := x.nc.Write(x.appendProof(x.out[:0])); err != nil {
		return err
	}
	return x.proven()
}

// unproven reports a refusal of the proof that says nothing against the connection. The
// command itself may be accepted, or is refused too.
func unproven(word string) bool {
	switch word {
	case "MISCONF", "NOPERM", "LOADING", "BUSY", "MASTERDOWN", "NOAUTH":
		return true
	}
	return false
}

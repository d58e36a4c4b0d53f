// Package resp speaks the Redis protocol: a codec for RESP2 and RESP3 with
// bounds on everything that a server sends, a pool of connections to one
// server, and a client whose errors say whether a command was carried out.
//
// A connection carries one exchange at a time: one write, and then exactly the
// replies to it. Whatever else arrives, or arrives too late, closes it, so that
// a reply can never reach a caller that did not ask for it.
//
// Everything a Client offers is safe for concurrent use.
package resp

import "context"

// A Doer carries commands to the server that is responsible for them and brings
// their replies back. A Client is the Doer of one server.
type Doer interface {
	// Do carries out one command. The error is nil for every reply that is not
	// an error of the server, a nil reply included.
	Do(ctx context.Context, args ...string) (Reply, error)

	// Pipeline carries out cmds in order with one write. There is one Reply per
	// command, whose Err says what became of that command. The error is the
	// first reason why a command has no reply, and nil when all have one.
	Pipeline(ctx context.Context, cmds []Command) ([]Reply, error)
}

// A Command is a command's name and its arguments.
type Command []string

var _ Doer = (*Client)(nil)

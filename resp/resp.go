// Package resp speaks the Redis protocol. It has a codec for RESP2 and RESP3 with
// bounds on everything that a server sends, and a pool of connections to one
// server. The errors of its client say whether a command was carried out.
//
// A connection carries one exchange at a time: one write, and then exactly the
// replies to it. Anything else that arrives, or arrives too late, closes it, so
// that a reply can never reach the caller of another command.
//
// All methods of a Client are safe for concurrent use.
package resp

import "context"

// A Doer carries commands to the server that is responsible for them and brings
// their replies back. A Client is the Doer of one server.
type Doer interface {
	// Do carries out one command. The error is nil for every reply that is not
	// an error of the server, a nil reply included.
	Do(ctx context.Context, args ...string) (Reply, error)

	// Pipeline carries out cmds in order with one write. There is one Reply per
	// command, and its Err is the result of that command. The error is the
	// first reason why a command has no reply, and nil when all have one.
	Pipeline(ctx context.Context, cmds []Command) ([]Reply, error)
}

// A Command is a command's name and its arguments.
type Command []string

var _ Doer = (*Client)(nil)

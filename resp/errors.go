package resp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The classes of failure. Every error of this package is one of them. Of the
// text that a server sent, an error contains only the first word.
var (
	// ErrNil is returned when the key does not exist. It is not a failure.
	ErrNil = errors.New("resp: no such key")

	// ErrNotSent is returned when no byte of the command was sent. It was not
	// carried out.
	ErrNotSent = errors.New("resp: command not sent")

	// ErrRejected is returned when the server refused the command because of its
	// present state. The command was not carried out. A later one may be.
	ErrRejected = errors.New("resp: server refused")

	// ErrAmbiguous is returned when the command was sent and its reply did not
	// arrive. It is unknown if it was carried out.
	ErrAmbiguous = errors.New("resp: reply lost")

	// ErrTerminal is returned when the server refused the command and would
	// refuse it again.
	ErrTerminal = errors.New("resp: server refused for good")

	// ErrProtocol is returned when the bytes that arrived are not the reply to the
	// command, or exceed Limits. The connection is closed.
	ErrProtocol = errors.New("resp: protocol violated")
)

// The particular failures. Each is one of the classes too.
var (
	// ErrClosed is returned when the client was closed.
	ErrClosed = fmt.Errorf("%w: client closed", ErrNotSent)

	// ErrPoolTimeout is returned when no connection became free, or none could
	// be opened, within Options.PoolTimeout or the operation's budget.
	ErrPoolTimeout = fmt.Errorf("%w: no connection in time", ErrNotSent)

	// ErrMaxClients is returned when the server has as many clients as it takes.
	ErrMaxClients = fmt.Errorf("%w: server has too many clients", ErrNotSent)

	// errPassing is the class of refusals that a later attempt may not meet.
	errPassing = fmt.Errorf("%w for now", ErrRejected)
	// errOutOfStep is returned when a connection brought the reply to another
	// command. The connection is closed, and the command's own reply is lost.
	errOutOfStep = fmt.Errorf("%w: reply to something else", ErrProtocol)

	// ErrLoading is returned while the server reads its data set from disk.
	ErrLoading = fmt.Errorf("%w: LOADING", errPassing)
	// ErrBusy is returned while a script holds the server up.
	ErrBusy = fmt.Errorf("%w: BUSY", errPassing)
	// ErrReadOnly is returned when a write reached a replica.
	ErrReadOnly = fmt.Errorf("%w: READONLY", errPassing)
	// ErrMasterDown is returned by a replica that has lost its master.
	ErrMasterDown = fmt.Errorf("%w: MASTERDOWN", errPassing)
	// ErrOOM is returned when a write needs memory beyond maxmemory.
	ErrOOM = fmt.Errorf("%w: OOM", ErrRejected)
	// ErrMisconf is returned when the server cannot persist, and refuses writes.
	ErrMisconf = fmt.Errorf("%w: MISCONF", ErrRejected)
	// ErrNoReplicas is returned when too few replicas follow for a write.
	ErrNoReplicas = fmt.Errorf("%w: NOREPLICAS", ErrRejected)

	// errNotMaster is returned for a connection that leads to a replica, where
	// Options.Location wants a master.
	errNotMaster = fmt.Errorf("%w: the server is not a master", ErrNotSent)

	// ErrClusterNode is returned for a connection that leads to a node of a cluster, where
	// Options.Topology is nil.
	ErrClusterNode = fmt.Errorf("%w: the server is a node of a Redis Cluster, which needs redis.clusterMode", ErrTerminal)

	errMoved       = fmt.Errorf("%w: MOVED by a Redis Cluster", ErrRejected)
	errAsk         = fmt.Errorf("%w: ASK by a Redis Cluster", ErrRejected)
	errTryAgain    = fmt.Errorf("%w: TRYAGAIN", errPassing)
	errClusterDown = fmt.Errorf("%w: CLUSTERDOWN", errPassing)

	// ErrNoAuth is returned when the server requires credentials and got none.
	ErrNoAuth = fmt.Errorf("%w: NOAUTH", ErrTerminal)
	// ErrWrongPass is returned when the server does not know the credentials.
	ErrWrongPass = fmt.Errorf("%w: WRONGPASS", ErrTerminal)
	// ErrNoPerm is returned when the user may not run the command or touch the key.
	ErrNoPerm = fmt.Errorf("%w: NOPERM", ErrTerminal)
	// ErrWrongType is returned when the key holds another type of value.
	ErrWrongType = fmt.Errorf("%w: WRONGTYPE", ErrTerminal)
	// ErrRetired is given to Invalidations.Down when a Tracker replaces its connection
	// at the age of Options.MaxConnAge. The name of the server may lead elsewhere by then.
	ErrRetired = errors.New("resp: the connection was replaced because of its age")
	// ErrHandshake is returned, with an ErrTerminal, when the server refuses the
	// credentials or the database of a connection. No command reaches it.
	ErrHandshake = errors.New("resp: handshake")
	// ErrDenied is returned by a server in protected mode.
	ErrDenied = fmt.Errorf("%w: DENIED", ErrTerminal)
	// ErrNoScript is returned when the server does not have a script by its hash.
	ErrNoScript = fmt.Errorf("%w: NOSCRIPT", ErrTerminal)
	// ErrUnknownCommand is returned when the server has no such command.
	ErrUnknownCommand = fmt.Errorf("%w: unknown command", ErrTerminal)

	errUnnamed = fmt.Errorf("%w: ERR", ErrTerminal)    // a refusal without a word of its own
	errScript  = fmt.Errorf("%w: SCRIPT", ErrTerminal) // a script that ran, and failed
)

// refusal is the meaning of an error of the server.
type refusal struct {
	err    error
	poison bool // the connection must be closed
}

var refusals = map[string]refusal{
	"LOADING":     {err: ErrLoading, poison: true},
	"BUSY":        {err: ErrBusy},
	"READONLY":    {err: ErrReadOnly, poison: true},
	"MASTERDOWN":  {err: ErrMasterDown, poison: true},
	"TRYAGAIN":    {err: errTryAgain},
	"CLUSTERDOWN": {err: errClusterDown},
	"MOVED":       {err: errMoved},
	"ASK":         {err: errAsk},
	"OOM":         {err: ErrOOM},
	"MISCONF":     {err: ErrMisconf},
	"NOREPLICAS":  {err: ErrNoReplicas},
	"MAXCLIENTS":  {err: ErrMaxClients, poison: true},
	"NOAUTH":      {err: ErrNoAuth, poison: true},
	"WRONGPASS":   {err: ErrWrongPass, poison: true},
	"DENIED":      {err: ErrDenied, poison: true},
	"NOPERM":      {err: ErrNoPerm},
	"WRONGTYPE":   {err: ErrWrongType},
	"NOSCRIPT":    {err: ErrNoScript},
	"UNKNOWN":     {err: ErrUnknownCommand},
	"ERR":         {err: errUnnamed},
	"SCRIPT":      {err: errScript},
}

// failureOf returns the reply for the text of a server's error. A redirect of a cluster has
// the slot and the address in an element.
func failureOf(text string) Reply {
	r := Reply{Kind: Error, Str: []byte(firstWord(text))}
	if word := string(r.Str); word != "MOVED" && word != "ASK" {
		return r
	}
	parts := strings.SplitN(text, " ", 4)
	if len(parts) != 3 || len(parts[2]) > 300 {
		return r
	}
	slot, err := strconv.Atoi(parts[1])
	if err == nil && slot >= 0 && slot < slotCount {
		r.Elems = []Reply{{Kind: Int, Int: int64(slot), Str: []byte(parts[2])}}
	}
	return r
}

const upperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// firstWord reduces the text of a server's error to a word that cannot echo an
// argument. Some texts that begin with ERR get a word of their own, because the
// outcome of a command depends on them.
func firstWord(text string) string {
	if strings.HasPrefix(text, "ERR max number of clients") {
		return "MAXCLIENTS"
	}
	if strings.HasPrefix(text, "ERR unknown command") {
		return "UNKNOWN"
	}
	if strings.HasPrefix(text, "ERR ") && isOfScript(text) {
		return "SCRIPT"
	}
	word, _, _ := strings.Cut(text, " ")
	if word == "" || len(word) > 32 || strings.Trim(word, upperCase) != "" {
		return "ERR"
	}
	return word
}

// isOfScript reports whether the text of an error is about the content of a script.
func isOfScript(text string) bool {
	return strings.Contains(text, "user_script") || strings.HasPrefix(text, "ERR Error running script") ||
		strings.HasPrefix(text, "ERR Error compiling script") || strings.Contains(text, "from script")
}

// refused returns the meaning of the first word of a server's error.
func refused(word string) refusal {
	if r, ok := refusals[word]; ok {
		return r
	}
	return refusal{err: fmt.Errorf("%w: %s", ErrTerminal, word)}
}

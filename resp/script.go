package resp

import "context"

// A Fallback does what a script does, where the server forbids scripts. It is
// called between WATCH and MULTI, again for every try.
type Fallback interface {
	// Decide returns the commands that are to be executed together, and what
	// the script would answer. A value is nil when its key does not exist.
	Decide(values [][]byte, args []string) ([]Command, Reply, error)
}

// A Script is a Lua script. It is immutable.
type Script struct {
	source, hash string
	repeatable   bool
	fallback     Fallback
}

// NewScript returns the script of source. It is sent again after an ambiguous
// outcome if it is repeatable. Without a fallback it fails where scripts are
// forbidden.
func NewScript(source string, repeatable bool, f Fallback) *Script {
	return &Script{source: source, repeatable: repeatable, fallback: f}
}

// Eval runs s.
func (c *Client) Eval(ctx context.Context, s *Script, keys, args []string) (Reply, error) {
	return Reply{}, ErrClosed
}

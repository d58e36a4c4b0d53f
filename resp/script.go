package resp

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A Script is a Lua script. It is immutable.
type Script struct {
	source, hash string
	repeatable   bool
	fallback     Fallback
}

// A Fallback does the work of a script where the server forbids scripts. It is
// called between WATCH and MULTI, and again whenever a key changed meanwhile.
type Fallback interface {
	// Decide returns the commands to carry out together, none if nothing is to
	// be changed, and the reply that the script would give. A value is nil where
	// there is no such key.
	Decide(values [][]byte, args []string) ([]Command, Reply, error)
}

// NewScript returns the script of source. It is sent again after an ambiguous
// outcome if it is repeatable: if two runs leave the same state and give the same
// reply as one. With a nil fallback it fails where scripts are forbidden.
func NewScript(source string, repeatable bool, f Fallback) *Script {
	sum := sha1.Sum([]byte(source)) // EVALSHA names a script by it
	return &Script{source: source, hash: hex.EncodeToString(sum[:]), repeatable: repeatable, fallback: f}
}

// unscriptedPeriod is how long scripts are not tried after they were refused.
const unscriptedPeriod = time.Minute

// Eval runs s on keys: by its hash, by its source where the server does not
// have it, or by its fallback where the server refuses scripts.
func (c *Client) Eval(ctx context.Context, s *Script, keys, args []string) (Reply, error) {
	if s.fallback != nil && c.scriptless() {
		return c.transact(ctx, s, keys, args)
	}
	r, err := c.eval(ctx, s, append([]string{"EVALSHA", s.hash, strconv.Itoa(len(keys))}, keys...), args)
	if errors.Is(err, ErrNoScript) {
		r, err = c.eval(ctx, s, append([]string{"EVAL", s.source, strconv.Itoa(len(keys))}, keys...), args)
	}
	if s.fallback == nil || !isScriptless(err) {
		return r, err
	}
	c.mu.Lock()
	c.unscripted = c.only.now() + unscriptedPeriod
	c.mu.Unlock()
	return c.transact(ctx, s, keys, args)
}

// isScriptless reports whether err says that the server runs no scripts. Servers and
// proxies have many wordings for it, so any refusal without a word of its own is one,
// except for the faults of a script that ran.
func isScriptless(err error) bool {
	return errors.Is(err, ErrUnknownCommand) || errors.Is(err, ErrNoPerm) || errors.Is(err, errUnnamed)
}

func (c *Client) scriptless() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unscripted > c.only.now()
}

func (c *Client) eval(ctx context.Context, s *Script, command, args []string) (Reply, error) {
	t := c.begin(ctx, c.only.now(), opEval, append(command, args...))
	t.repeatable = s.repeatable
	return t.run()
}

// transact runs the fallback of s.
func (c *Client) transact(ctx context.Context, s *Script, keys, args []string) (Reply, error) {
	t := c.begin(ctx, c.only.now(), opEval, nil)
	t.repeatable = s.repeatable
	if c.router != nil && len(keys) > 0 {
		t.slot = slotOf(keys[0])
	}
	r, err := t.optimistic(s, keys, args)
	for err != nil && t.again(err) {
		r, err = t.optimistic(s, keys, args)
	}
	t.p.count(t, err)
	return r, err
}

// errConflict is met when a watched key changed before EXEC.
var errConflict = fmt.Errorf("%w: key changed meanwhile", errPassing)

// optimistic makes one attempt on one connection. The connection watches nothing
// any more when it goes back.
func (t *task) optimistic(s *Script, keys, args []string) (Reply, error) {
	x, err := t.connect()
	if err != nil {
		return Reply{}, err
	}
	b := appendCommand(nil, append([]string{"WATCH"}, keys...))
	for _, k := range keys {
		b = appendCommand(b, []string{"GET", k})
	}
	got := make([]Reply, 1+len(keys))
	if _, err := x.ask(b, got); err != nil {
		t.p.drop(x, &t.p.stats.broken)
		return Reply{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	values, err := watched(got)
	if err != nil {
		t.redirected(got[0])
		t.p.drop(x, &t.p.stats.broken)
		return Reply{}, err
	}
	cmds, r, err := s.fallback.Decide(values, args)
	if err != nil || len(cmds) == 0 {
		_, failed := x.ask(appendCommand(nil, []string{"UNWATCH"}), got[:1])
		if failed != nil {
			t.p.drop(x, &t.p.stats.broken)
			return r, err
		}
		t.p.put(x)
		return r, err
	}
	return r, t.commit(x, cmds)
}

// watched are the values behind a WATCH, nil for a missing key.
func watched(got []Reply) ([][]byte, error) {
	if err := wasOK(got[0]); err != nil {
		return nil, orRefused(got[0], err)
	}
	var values [][]byte
	for _, r := range got[1:] {
		v, err := r.Bytes()
		if err != nil && !errors.Is(err, ErrNil) {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// orRefused returns the server's refusal if r is one, and else err.
func orRefused(r Reply, err error) error {
	if refusal := r.Err(); refusal != nil {
		return refusal
	}
	return err
}

// commit carries out cmds together, if no watched key has changed.
func (t *task) commit(x *conn, cmds []Command) error {
	b := appendCommand(nil, []string{"MULTI"})
	for _, cmd := range cmds {
		b = appendCommand(b, cmd)
	}
	b = appendCommand(b, []string{"EXEC"})
	got := make([]Reply, len(cmds)+2)
	if _, err := x.ask(b, got); err != nil {
		return t.lost(x, err)
	}
	for i := range got {
		if err := got[i].Err(); err != nil {
			t.p.drop(x, &t.p.stats.broken)
			return err
		}
	}
	t.p.put(x)
	result := got[len(got)-1]
	if result.Kind == Null {
		return errConflict
	}
	for i := range result.Elems {
		if err := result.Elems[i].Err(); err != nil {
			return err
		}
	}
	return nil
}

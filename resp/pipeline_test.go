package resp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

func TestPipeline(t *testing.T) {
	s, c := start(t, nil)
	var cmds []Command
	for i := 0; i < 100; i++ {
		cmds = append(cmds, Command{"SET", fmt.Sprint("k", i), strings.Repeat("v", i)}, Command{"GET", fmt.Sprint("k", i)})
	}
	cmds = append(cmds, Command{"ZADD", "k1", "1", "m"}, Command{"GET", "missing"})
	got, err := c.Pipeline(bg, cmds)
	if err != nil || len(got) != len(cmds) {
		t.Fatal(len(got), err)
	}
	for i := 0; i < 100; i++ {
		if v, err := got[2*i+1].Bytes(); err != nil || len(v) != i || got[2*i].Err() != nil {
			t.Errorf("%d: %q, %v", i, v, err)
		}
	}
	if err := got[200].Err(); !errors.Is(err, ErrWrongType) {
		t.Errorf("one refusal among others: %v", err)
	}
	if _, err := got[201].Bytes(); !errors.Is(err, ErrNil) {
		t.Errorf("one nil among others: %v", err)
	}
	if got, err := c.Pipeline(bg, nil); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	if _, err := c.Pipeline(bg, []Command{{}}); !errors.Is(err, ErrTerminal) {
		t.Error(err)
	}
	if s.Accepted() != 1 {
		t.Errorf("%d connections", s.Accepted())
	}
}

func TestABrokenPipeline(t *testing.T) {
	rows := []struct {
		name   string
		cmds   []Command
		sent   int // of the last command
		known  int // commands that have a reply in the end
		failed bool
	}{
		{"is resumed where it broke", []Command{{"SET", "a", "1"}, {"GET", "cut"}, {"SET", "b", "2"}}, 1, 3, false},
		{"is not resumed if that may do harm", []Command{{"SET", "a", "1"}, {"GET", "cut"}, {"SET", "b", "2", "NX"}}, 0, 1, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s, c := start(t, nil)
			s.Inject(resptest.Fault{Command: "GET", Key: "cut", Times: 1, Cut: -1})
			got, err := c.Pipeline(bg, row.cmds)
			if (err != nil) != row.failed || row.failed && !errors.Is(err, ErrAmbiguous) {
				t.Fatal(err)
			}
			known := 0
			for _, r := range got {
				if r.Err() == nil {
					known++
				} else if !errors.Is(r.Err(), ErrAmbiguous) {
					t.Error(r.Err())
				}
			}
			sent := 0
			for _, args := range s.Commands() {
				if args[0] == "SET" && args[1] == "b" {
					sent++
				}
			}
			if known != row.known || sent != row.sent {
				t.Errorf("%d replies, %d sent", known, sent)
			}
			if n := s.Count("SET"); !row.failed && n != 2 {
				t.Errorf("%d writes", n)
			}
		})
	}
}

func TestAStrayReplyIsInNoPipeline(t *testing.T) {
	s, c := start(t, nil)
	s.Put("a", "of a")
	s.Put("b", "of b")
	s.Inject(resptest.Fault{Command: "GET", Key: "a", Times: 1, Reply: "$5\r\nstray\r\n$4\r\nof a\r\n"})
	got, err := c.Pipeline(bg, []Command{{"GET", "a"}, {"GET", "b"}})
	if err != nil || string(got[0].Str) != "of a" || string(got[1].Str) != "of b" {
		t.Errorf("%q %q %v", got[0].Str, got[1].Str, err)
	}
}

// increment is the fallback of a script. It appends args[0] to the value of the
// key, if the key exists.
type increment struct {
	meanwhile func()
}

func (f *increment) Decide(values [][]byte, args []string) ([]Command, Reply, error) {
	if f.meanwhile != nil {
		f.meanwhile()
	}
	if values[0] == nil {
		return nil, Reply{Kind: Int, Int: 0}, nil
	}
	return []Command{{"SET", "k", string(values[0]) + args[0]}}, Reply{Kind: Int, Int: 1}, nil
}

func TestScriptsRunByHashBySourceAndByFallback(t *testing.T) {
	s, c := start(t, nil)
	script := NewScript("return 1", false, nil)
	if _, err := c.Eval(bg, script, []string{"k"}, nil); !errors.Is(err, ErrUnknownCommand) {
		t.Errorf("without a fallback: %v", err)
	}
	s.Inject(resptest.Fault{Command: "EVALSHA", Times: 1, Reply: "-NOSCRIPT No matching script\r\n"})
	s.Inject(resptest.Fault{Command: "EVAL", Times: 1, Reply: ":7\r\n"})
	if r, err := c.Eval(bg, script, []string{"k"}, []string{"a"}); err != nil || r.Int != 7 {
		t.Errorf("by source: %+v, %v", r, err)
	}
	last := s.Commands()
	var eval []string
	for _, args := range last {
		if args[0] == "EVAL" {
			eval = args
		}
	}
	if strings.Join(eval, " ") != "EVAL return 1 1 k a" {
		t.Errorf("sent %q", eval)
	}
	if script.hash != "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" {
		t.Errorf("hash %s", script.hash)
	}
}

func TestTheFallbackOfAScriptIsAtomic(t *testing.T) {
	for _, refusal := range []string{"", "-NOPERM this user has no permissions\r\n"} {
		s, c := start(t, nil)
		if refusal != "" {
			s.Inject(resptest.Fault{Command: "EVALSHA", Reply: refusal})
		}
		f := &increment{}
		script := NewScript("...", false, f)
		if r, err := c.Eval(bg, script, []string{"k"}, []string{"x"}); err != nil || r.Int != 0 {
			t.Fatalf("missing key: %+v, %v", r, err)
		}
		s.Put("k", "a")
		if r, err := c.Eval(bg, script, []string{"k"}, []string{"x"}); err != nil || r.Int != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		tries := 0
		f.meanwhile = func() {
			if tries++; tries == 1 {
				s.Put("k", "b")
			}
		}
		if r, err := c.Eval(bg, script, []string{"k"}, []string{"x"}); err != nil || r.Int != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		if v, _ := s.Value("k"); v != "bx" || tries != 2 {
			t.Errorf("k holds %q after %d tries", v, tries)
		}
		if n := s.Count("EVALSHA"); n != 1 {
			t.Errorf("scripts were tried %d times", n)
		}
		f.meanwhile = nil
		s.Inject(resptest.Fault{Command: "EXEC", Times: 1, Cut: -1})
		if _, err := c.Eval(bg, script, []string{"k"}, []string{"x"}); !errors.Is(err, ErrAmbiguous) {
			t.Errorf("lost reply: %v", err)
		}
		if v, _ := s.Value("k"); v != "bxx" {
			t.Errorf("k holds %q", v)
		}
		if p := c.Stats().Pool; p.InUse != 0 {
			t.Errorf("%+v", p)
		}
	}
}

func TestARepeatableScriptIsRepeated(t *testing.T) {
	for _, repeatable := range []bool{false, true} {
		s, c := start(t, nil)
		s.Inject(resptest.Fault{Command: "EVALSHA", Times: 1, Cut: -1})
		s.Inject(resptest.Fault{Command: "EVALSHA", Times: 1, Reply: ":1\r\n"})
		_, err := c.Eval(bg, NewScript("x", repeatable, nil), nil, nil)
		if (err == nil) != repeatable || !repeatable && !errors.Is(err, ErrAmbiguous) {
			t.Errorf("repeatable %v: %v", repeatable, err)
		}
	}
}

func TestReplyAccessorsDistinguishMissesFromErrors(t *testing.T) {
	null, refused, lost := Reply{Kind: Null}, Reply{Kind: Error, Str: []byte("OOM")}, Reply{err: ErrAmbiguous}
	for _, row := range []struct {
		r    Reply
		want error
	}{{null, ErrNil}, {refused, ErrOOM}, {lost, ErrAmbiguous}, {Reply{Kind: Double}, ErrProtocol}} {
		_, err1 := row.r.Bytes()
		_, err2 := row.r.Integer()
		_, err3 := row.r.Strings()
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, row.want) {
				t.Errorf("%+v: %v", row.r, err)
			}
		}
	}
}

package resp

import (
	"strings"
	"testing"
)

func rangeOf(first, last int64, nodes ...Reply) Reply {
	return Reply{Kind: Array, Elems: append([]Reply{{Kind: Int, Int: first}, {Kind: Int, Int: last}}, nodes...)}
}

func nodeOf(host string, port int64) Reply {
	r := Reply{Kind: Array, Elems: []Reply{{Kind: Bulk, Str: []byte(host)}, {Kind: Int, Int: port}}}
	if host == "" {
		r.Elems[0] = Reply{Kind: Null}
	}
	return r
}

func TestSlotsOfKeys(t *testing.T) {
	for key, slot := range map[string]int{
		"123456789": 12739, "": 0, "foo": 12182, "{foo}bar": 12182, "a{foo}b{c}": 12182, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015,
	} {
		if got := slotOf(key); got != slot {
			t.Errorf("%q: %d, want %d", key, got, slot)
		}
	}
	for command, key := range map[string]string{
		"GET k": "k", "EVAL lua 1 k a": "k", "EVALSHA hash 2 k {k}b": "k", "SET k v NX": "k", "ZSCAN k 0": "k", "UNLINK k": "k",
	} {
		if got := slotOfCommand(strings.Fields(command)); got != slotOf(key) {
			t.Errorf("%s: %d", command, got)
		}
	}
	for _, command := range []string{"PING", "INFO server", "EVAL lua 0", "EVAL lua x k", "EVAL lua", "PUBLISH c m", "GET"} {
		if got := slotOfCommand(strings.Fields(command)); got != noSlot {
			t.Errorf("%s: %d", command, got)
		}
	}
}

func TestSlotsThatANodeTells(t *testing.T) {
	m, err := readSlots(Reply{Kind: Array, Elems: []Reply{
		rangeOf(0, 99, nodeOf("10.0.0.2", 1), nodeOf("", 0)),
		rangeOf(100, 16383, nodeOf("127.0.0.1", 7), nodeOf("z", 3), nodeOf("b", 3)),
	}}, "10.0.0.1:6379")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(m.masters, " ") != "10.0.0.1:7 10.0.0.2:1" || m.covered != slotCount {
		t.Errorf("%v, %d slots", m.masters, m.covered)
	}
	for slot, want := range map[int]string{0: "10.0.0.2:1", 99: "10.0.0.2:1", 100: "10.0.0.1:7", 16383: "10.0.0.1:7"} {
		if got := m.master(slot); got != want {
			t.Errorf("slot %d: %s", slot, got)
		}
	}
	if !m.nodes()["10.0.0.1:6379"] || !m.nodes()["b:3"] {
		t.Errorf("nodes %v", m.nodes())
	}
	p := m.patched(99, "10.0.0.1:7")
	if p.master(99) != "10.0.0.1:7" || p.master(98) != "10.0.0.2:1" || m.master(99) != "10.0.0.2:1" {
		t.Error("a patched slot")
	}
	holes, err := readSlots(Reply{Kind: Array, Elems: []Reply{rangeOf(5, 5, nodeOf("a", 1))}}, "h:1")
	if err != nil || holes.master(4) != "" || holes.master(5) != "a:1" || holes.master(6) != "" {
		t.Errorf("slots without a node: %v", err)
	}
}

func TestJ17SlotsOfAHostileNode(t *testing.T) {
	var many []Reply
	for i := int64(0); i <= mostMasters; i++ {
		many = append(many, rangeOf(i, i, nodeOf("a", i+1)))
	}
	for name, r := range map[string]Reply{
		"no array":       {Kind: Int},
		"nothing":        {Kind: Array},
		"a slot too far": {Kind: Array, Elems: []Reply{rangeOf(0, 16384, nodeOf("a", 1))}},
		"backwards":      {Kind: Array, Elems: []Reply{rangeOf(2, 1, nodeOf("a", 1))}},
		"negative":       {Kind: Array, Elems: []Reply{rangeOf(-1, 1, nodeOf("a", 1))}},
		"no node":        {Kind: Array, Elems: []Reply{rangeOf(0, 1)}},
		"a port":         {Kind: Array, Elems: []Reply{rangeOf(0, 1, nodeOf("a", 65536))}},
		"a host":         {Kind: Array, Elems: []Reply{rangeOf(0, 1, nodeOf("a b", 1))}},
		"a long host":    {Kind: Array, Elems: []Reply{rangeOf(0, 1, nodeOf(strings.Repeat("a", 256), 1))}},
		"text":           {Kind: Array, Elems: []Reply{{Kind: Bulk, Str: []byte("0-1")}}},
		"a node as text": {Kind: Array, Elems: []Reply{rangeOf(0, 1, Reply{Kind: Bulk, Str: []byte("a:1")})}},
		"too many":       {Kind: Array, Elems: many},
	} {
		if m, err := readSlots(r, "h:1"); err == nil {
			t.Errorf("%s: %v", name, m.masters)
		}
	}
}

func TestRedirects(t *testing.T) {
	for text, want := range map[string]string{
		"MOVED 5 10.0.0.1:7": "10.0.0.1:7", "ASK 5 :7": "h:7", "MOVED 5 2001:db8::1:7": "[2001:db8::1]:7", "MOVED 5 [::1]:7": "h:7", "MOVED 5 ?:7": "h:7",
	} {
		r := failureOf(text)
		if len(r.Elems) != 1 || r.Elems[0].Int != 5 {
			t.Errorf("%s: %v", text, r)
			continue
		}
		if got, ok := redirectAddress(string(r.Elems[0].Str), "h:1"); !ok || got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, text := range []string{"MOVED", "MOVED 5", "MOVED x a:1", "MOVED -1 a:1", "MOVED 16384 a:1", "MOVED 1 a:1 b", "ERR 5 a:1", "ASK 1 " + strings.Repeat("a", 301)} {
		if r := failureOf(text); r.Elems != nil {
			t.Errorf("%s: %v", text, r)
		}
	}
	for _, to := range []string{"a", "a:", "a:x", "a:65536", "a b:1", "a:-1"} {
		if got, ok := redirectAddress(to, "h:1"); ok {
			t.Errorf("%s: %s", to, got)
		}
	}
}

func TestAnswersOfNodesAreWeighed(t *testing.T) {
	at := func(epoch uint64, host string) *slotMap {
		m, err := readSlots(Reply{Kind: Array, Elems: []Reply{rangeOf(0, 16383, nodeOf(host, 1))}}, "h:1")
		if err != nil {
			t.Fatal(err)
		}
		m.epoch = epoch
		return m
	}
	known := at(5, "a")
	for i, c := range []struct {
		epoch            uint64
		healthy, settled bool
		news             bool
	}{
		{6, true, true, true}, {5, true, false, true}, {5, true, true, false}, {4, true, false, false}, {6, false, false, false},
	} {
		if got := (&survey{slots: at(c.epoch, "b"), healthy: c.healthy}).isNews(known, c.settled); got != c.news {
			t.Errorf("%d: %v", i, got)
		}
	}
}

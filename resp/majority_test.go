package resp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// A voter is a sentinel in a row of TestMajority.
type voter struct {
	address    string
	configured bool
	id         string // in its response; empty: there is no response
	master     string
	peers      string // IDs with addresses, separated by spaces
}

func (v voter) peerList() []peer {
	var peers []peer
	for _, p := range strings.Fields(v.peers) {
		id, address, _ := strings.Cut(p, "@")
		peers = append(peers, peer{id: id, address: address})
	}
	return peers
}

func TestMajority(t *testing.T) {
	for _, row := range []struct {
		name   string
		voters []voter
		known  int
		master string
		err    error
	}{
		{"two of three agree", []voter{
			{"a", true, "1", "M", "2@b 3@c"}, {"b", true, "2", "M", "1@a 3@c"}, {"c", true, "", "", ""},
		}, 3, "M", nil},
		{"one of three answers", []voter{
			{"a", true, "1", "M", "2@b 3@c"}, {"b", true, "", "", ""}, {"c", true, "", "", ""},
		}, 3, "", ErrNotSent},
		{"two of four agree", []voter{
			{"a", true, "1", "M", "2@b 3@c 4@d"}, {"b", true, "2", "M", "1@a 3@c 4@d"}, {"c", true, "3", "N", ""}, {"d", true, "4", "N", ""},
		}, 4, "", ErrNotSent},
		{"one configured name leads to one of three", []voter{
			{"service", true, "1", "M", "2@b 3@c"},
		}, 3, "", ErrNotSent},
		{"one sentinel under two names has one vote", []voter{
			{"service", true, "1", "M", "2@b 3@c"}, {"a", true, "1", "M", "2@b 3@c"},
		}, 3, "", ErrNotSent},
		{"a silent sentinel is configured by a name that the others do not use", []voter{
			{"name-a", true, "1", "M", "2@b 3@c"}, {"name-b", true, "2", "M", "1@a 3@c"}, {"name-c", true, "", "", ""},
		}, 3, "M", nil},
		{"one sentinel alone", []voter{{"a", true, "1", "M", ""}}, 1, "M", nil},
		{"sentinels without IDs", []voter{
			{"a", true, "a", "M", "2@b 3@c"}, {"b", true, "b", "M", "1@a 3@c"}, {"c", true, "", "", ""},
		}, 3, "M", nil},
		{"the master is unknown to most", []voter{
			{"a", true, "1", "", ""}, {"b", true, "2", "", ""}, {"c", true, "3", "M", ""},
		}, 3, "", ErrUnknownMaster},
		{"nobody is configured", nil, 0, "", ErrNotSent},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := &count{opinions: map[*sentinel]*opinion{}}
			for _, v := range row.voters {
				m := &sentinel{configured: v.configured}
				m.o.Address = v.address
				c.members = append(c.members, m)
				if v.id != "" {
					c.add(&opinion{m: m, id: v.id, master: v.master, peers: v.peerList()})
				}
			}
			if n := c.known(); n != row.known {
				t.Errorf("%d known sentinels", n)
			}
			master, err := c.verdict()
			if master != row.master || !errors.Is(err, row.err) {
				t.Errorf("%q, %v", master, err)
			}
		})
	}
}

func TestPeersAreBounded(t *testing.T) {
	r := Reply{Kind: Array}
	for i := 0; i < 1000; i++ {
		r.Elems = append(r.Elems, Reply{Kind: Array, Elems: []Reply{
			{Kind: Bulk, Str: []byte("ip")}, {Kind: Bulk, Str: []byte(fmt.Sprintf("10.0.%d.%d", i/250, i%250))},
			{Kind: Bulk, Str: []byte("port")}, {Kind: Bulk, Str: []byte("26379")},
		}})
	}
	if n := len(readPeers(r)); n != mostSentinels {
		t.Errorf("%d sentinels are learnt from one reply", n)
	}
}

func TestLocation(t *testing.T) {
	l := newLocation("the master")
	ctx, cancel := context.WithCancel(context.Background())
	found := make(chan error, 2)
	for i := 0; i < 2; i++ {
		go func() {
			_, _, err := l.locate(ctx)
			found <- err
		}()
	}
	cancel()
	for i := 0; i < 2; i++ {
		if err := <-found; !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotSent) {
			t.Errorf("a search that was canceled: %v", err)
		}
	}
	l.publish("a")
	address, generation, err := l.locate(context.Background())
	if address != "a" || generation != 1 || err != nil {
		t.Errorf("%s, %d, %v", address, generation, err)
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	if !l.attach(1, ours) || l.attach(0, theirs) {
		t.Error("a connection belongs to the present address only")
	}
	l.publish("a")
	if _, now := l.Address(); now != 1 {
		t.Errorf("the same address again: generation %d", now)
	}
	l.retract(ErrUnknownMaster)
	if _, err := ours.Write([]byte("x")); err == nil {
		t.Error("a connection outlives its address")
	}
	if _, _, err := l.locate(context.Background()); !errors.Is(err, ErrUnknownMaster) {
		t.Errorf("without an address: %v", err)
	}
}

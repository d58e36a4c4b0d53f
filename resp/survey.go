package resp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
)

// A survey is the reply of one node.
type survey struct {
	address string
	slots   *slotMap
	healthy bool  // the node says that the cluster serves
	err     error // ErrNotSent until there is a reply
}

func (a *survey) isBetter(b *survey) bool {
	if a.healthy != b.healthy {
		return a.healthy
	}
	if a.slots.epoch != b.slots.epoch {
		return a.slots.epoch > b.slots.epoch
	}
	return a.slots.covered > b.slots.covered
}

// isNews reports whether the reply is to be published at once. It is not older than the known
// slots, and no other reply of the round was as good.
func (a *survey) isNews(known *slotMap, settled bool) bool {
	if known == nil || a.slots.epoch > known.epoch {
		return a.healthy
	}
	return a.healthy && a.slots.epoch == known.epoch && !settled
}

// An inquiry queries one node. It delivers one survey.
type inquiry struct {
	m      *Client
	out    chan *survey // with room for all surveys
	answer *survey
}

// Run implements background.Runner.
func (q *inquiry) Run() {
	defer q.deliver()
	q.answer.err = q.ask()
}

func (q *inquiry) deliver() {
	q.out <- q.answer
}

func (q *inquiry) ask() error {
	replies, err := q.m.Pipeline(context.Background(), []Command{{"CLUSTER", "INFO"}, {"CLUSTER", "SLOTS"}})
	if err != nil {
		return err
	}
	if err := replies[1].Err(); err != nil {
		if errors.Is(err, errUnnamed) || errors.Is(err, ErrUnknownCommand) {
			return ErrNoCluster
		}
		return err
	}
	slots, err := readSlots(replies[1], q.answer.address)
	if err != nil {
		return err
	}
	slots.epoch, _ = strconv.ParseUint(InfoField(replies[0], "cluster_current_epoch"), 10, 63)
	q.answer.healthy = replies[0].Kind == Error || InfoField(replies[0], "cluster_state") == "ok"
	q.answer.slots = slots
	return nil
}

// A slotRange is a line of the reply to CLUSTER SLOTS.
type slotRange struct {
	first, last int
	nodes       []string // the master first
}

// readSlots reads the reply to CLUSTER SLOTS of the node at origin: an array of ranges,
// each with its first and last slot, its master and its replicas.
func readSlots(r Reply, origin string) (*slotMap, error) {
	if r.Kind != Array {
		return nil, malformed("CLUSTER SLOTS")
	}
	m := &slotMap{index: make([]int16, slotCount)}
	fill(m.index, -1)
	var ranges []slotRange
	masters := map[string][]string{}
	var lines []string
	for i := range r.Elems {
		s, ok := readRange(r.Elems[i], origin)
		if !ok {
			return nil, malformed("a range of CLUSTER SLOTS")
		}
		ranges = append(ranges, s)
		masters[s.nodes[0]] = s.nodes[1:]
		lines = append(lines, fmt.Sprintf("%d-%d %s", s.first, s.last, strings.Join(s.nodes, ",")))
	}
	if len(masters) > mostMasters {
		return nil, malformed("too many nodes in CLUSTER SLOTS")
	}
	if len(masters) == 0 {
		return nil, fmt.Errorf("%w: no node of the cluster has slots", errClusterDown)
	}
	numbers := m.number(masters)
	for _, s := range ranges {
		fill(m.index[s.first:s.last+1], numbers[s.nodes[0]])
		m.covered += s.last - s.first + 1
	}
	sort.Strings(lines)
	m.text = strings.Join(lines, ";")
	return m, nil
}

// number gives each master its place in m.
func (m *slotMap) number(masters map[string][]string) map[string]int16 {
	for a := range masters {
		m.masters = append(m.masters, a)
	}
	sort.Strings(m.masters)
	numbers := map[string]int16{}
	for i, a := range m.masters {
		numbers[a] = int16(i)
		m.replicas = append(m.replicas, masters[a])
	}
	return numbers
}

// fill sets every element to v.
func fill(list []int16, v int16) {
	list[0] = v
	for i := 1; i < len(list); i *= 2 {
		copy(list[i:], list[:i])
	}
}

func readRange(r Reply, origin string) (slotRange, bool) {
	if r.Kind != Array || len(r.Elems) < 3 || r.Elems[0].Kind != Int || r.Elems[1].Kind != Int {
		return slotRange{}, false
	}
	first := r.Elems[0].Int
	last := r.Elems[1].Int
	if first < 0 || last < first || last >= slotCount {
		return slotRange{}, false
	}
	s := slotRange{first: int(first), last: int(last)}
	for i := 2; i < len(r.Elems) && i < 100; i++ {
		node := r.Elems[i]
		if node.Kind != Array || len(node.Elems) < 2 || node.Elems[1].Kind != Int {
			return slotRange{}, false
		}
		address, ok := nodeAddress(string(node.Elems[0].Str), node.Elems[1].Int, origin)
		if !ok {
			return slotRange{}, false
		}
		s.nodes = append(s.nodes, address)
	}
	sort.Strings(s.nodes[1:])
	return s, true
}

// nodeAddress returns the address of a node that the node at origin names. A node that does
// not know its own host, or only that of the loopback, has that of origin; one without a
// port has the port of origin.
func nodeAddress(host string, port int64, origin string) (string, bool) {
	originHost, originPort, err := net.SplitHostPort(origin)
	if err != nil || len(host) > 255 || port < 0 || port > 65535 || strings.ContainsAny(host, " /@?#[]\"\\\r\n") && host != "?" {
		return "", false
	}
	if host == "" || host == "?" || isLoopback(host) && !isLoopback(originHost) {
		host = originHost
	}
	if port == 0 {
		return net.JoinHostPort(host, originPort), true
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), true
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

package resp

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/traefikoidc/traefikoidc/internal/background"
)

// A sentinel is a member of the group that watches the master.
type sentinel struct {
	o          Options
	client     *Client
	configured bool
	id         string   // its run ID; empty: not known
	listener   *Tracker // nil: it is not listened to
}

func (s *Sentinels) member(address string, configured bool) *sentinel {
	o := s.o.Sentinel
	o.Address = address
	o.Network = ""
	o.DB = 0
	o.Location = nil
	o.PoolSize = 1
	o.MinIdle = 0
	o.MaxRetries = 1
	o.OperationTimeout = s.o.Timeout
	o.ReadTimeout = s.o.Timeout
	o.WriteTimeout = s.o.Timeout
	return &sentinel{o: o, client: NewClient(o), configured: configured}
}

func (m *sentinel) close() {
	if m.listener != nil {
		m.listener.Close()
	}
	m.client.Close()
}

// A peer is another sentinel that a sentinel names.
type peer struct {
	id      string
	address string
}

// An opinion is the reply of one sentinel.
type opinion struct {
	m      *sentinel
	id     string
	master string // empty: it knows no master of the name
	peers  []peer
	err    error // ErrNotSent until there is a reply
}

// A question queries one sentinel. It delivers one opinion.
type question struct {
	m      *sentinel
	master string
	out    chan *opinion // with room for all opinions
	answer *opinion
}

// Run implements background.Runner.
func (q *question) Run() {
	defer q.deliver()
	q.ask()
}

func (q *question) deliver() {
	q.out <- q.answer
}

func (q *question) ask() {
	replies, err := q.m.client.Pipeline(context.Background(), []Command{
		{"SENTINEL", "MYID"},
		{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", q.master},
		{"SENTINEL", "SENTINELS", q.master},
	})
	if err != nil {
		q.answer.err = err
		return
	}
	if id, err := replies[0].Bytes(); err == nil {
		q.answer.id = string(id)
	}
	if replies[1].Kind == Null {
		q.answer.err = nil
		return
	}
	at, err := replies[1].Strings()
	if err == nil && len(at) != 2 {
		err = malformed("address of a master")
	}
	if err != nil {
		q.answer.err = err
		return
	}
	q.answer.master = net.JoinHostPort(at[0], at[1])
	q.answer.peers = readPeers(replies[2])
	q.answer.err = nil
}

// readPeers reads the reply to SENTINEL SENTINELS: an array of names and values for each
// other sentinel.
func readPeers(r Reply) []peer {
	var peers []peer
	for i := range r.Elems {
		fields, err := r.Elems[i].Strings()
		if err != nil || len(peers) == mostSentinels {
			break
		}
		named := map[string]string{}
		for k := 0; k+1 < len(fields); k += 2 {
			named[fields[k]] = fields[k+1]
		}
		if named["ip"] != "" && named["port"] != "" {
			peers = append(peers, peer{id: named["runid"], address: net.JoinHostPort(named["ip"], named["port"])})
		}
	}
	return peers
}

// consult queries all sentinels, and again where they name others. It returns the master
// that a majority of them names.
func (s *Sentinels) consult() (string, error) {
	var c *count
	for i := 0; i < 3; i++ {
		c = s.ask()
		if !s.learn(c) || c.majority() {
			break
		}
	}
	s.listen(c.answered())
	return c.verdict()
}

// ask queries the sentinels known so far, at the same time, until a majority agrees.
func (s *Sentinels) ask() *count {
	out := make(chan *opinion, len(s.members))
	for i := range s.members {
		s.askOne(s.members[i], out)
	}
	c := &count{members: s.members, opinions: map[*sentinel]*opinion{}}
	for i := 0; i < len(s.members) && !c.majority(); i++ {
		a := <-out
		c.add(a)
	}
	return c
}

func (s *Sentinels) askOne(m *sentinel, out chan *opinion) {
	answer := &opinion{m: m, err: ErrNotSent}
	background.Start(&question{m: m, master: s.o.Master, out: out, answer: answer})
}

// learn adds the sentinels that were named and are new, and removes those that no other
// names. It reports whether there are new ones.
func (s *Sentinels) learn(c *count) bool {
	named := c.peers()
	grown := false
	for i := range named {
		if len(s.members) < mostSentinels && !s.knows(named[i]) {
			m := s.member(named[i].address, false)
			m.id = named[i].id
			s.members = append(s.members, m)
			grown = true
		}
	}
	if !c.majority() {
		return grown
	}
	var kept []*sentinel
	for _, m := range s.members {
		if m.configured || c.opinions[m] != nil || isNamed(m, named) {
			kept = append(kept, m)
			continue
		}
		m.close()
	}
	s.members = kept
	return grown
}

func (s *Sentinels) knows(p peer) bool {
	for _, m := range s.members {
		if isSame(m, p) {
			return true
		}
	}
	return false
}

func isNamed(m *sentinel, peers []peer) bool {
	for i := range peers {
		if isSame(m, peers[i]) {
			return true
		}
	}
	return false
}

func isSame(m *sentinel, p peer) bool {
	return m.o.Address == p.address || m.id != "" && m.id == p.id && m.configured
}

// A count counts the opinions of sentinels.
type count struct {
	members  []*sentinel
	opinions map[*sentinel]*opinion
}

// add counts a. For a sentinel that sends no ID, as before Redis 6.2, its address is
// the ID.
func (c *count) add(a *opinion) {
	c.opinions[a.m] = a
	if a.err == nil && a.id == "" {
		a.id = a.m.o.Address
	}
	if a.err == nil {
		a.m.id = a.id
	}
}

// answered returns the sentinels that answered, each once.
func (c *count) answered() []*sentinel {
	var list []*sentinel
	seen := map[string]bool{}
	for _, m := range c.members {
		a := c.opinions[m]
		if a != nil && a.err == nil && !seen[a.id] {
			seen[a.id] = true
			list = append(list, m)
		}
	}
	return list
}

// peers returns the sentinels that others name, each once.
func (c *count) peers() []peer {
	var list []peer
	seen := map[string]bool{}
	for _, m := range c.members {
		a := c.opinions[m]
		if a == nil || a.err != nil {
			continue
		}
		for i := range a.peers {
			p := a.peers[i]
			if !seen[p.address] {
				seen[p.address] = true
				list = append(list, p)
			}
		}
	}
	return list
}

// known returns how many sentinels there are. One may be configured by a host name, and
// named by the others with an address. So silent configured ones are added only if the
// others name fewer.
func (c *count) known() int {
	ids := map[string]bool{}
	for _, m := range c.answered() {
		ids[m.id] = true
	}
	configured := 0
	seen := map[string]bool{}
	for _, m := range c.members {
		if m.configured && (m.id == "" || !seen[m.id]) {
			configured++
			seen[m.id] = true
		}
	}
	addresses := map[string]bool{}
	for _, m := range c.answered() {
		addresses[m.o.Address] = true
	}
	for _, p := range c.peers() {
		if !ids[p.id] && !addresses[p.address] {
			ids[p.id+" "+p.address] = true
		}
	}
	if configured > len(ids) {
		return configured
	}
	return len(ids)
}

// leader returns the master that most sentinels name, and how many name it.
func (c *count) leader() (string, int) {
	votes := map[string]int{}
	leader := ""
	most := 0
	for _, m := range c.answered() {
		master := c.opinions[m].master
		votes[master]++
		if votes[master] > most {
			leader = master
			most = votes[master]
		}
	}
	return leader, most
}

// majority reports whether more than half of the sentinels agree.
func (c *count) majority() bool {
	_, votes := c.leader()
	return votes*2 > c.known()
}

// verdict returns the master that a majority names, or why there is none.
func (c *count) verdict() (string, error) {
	leader, votes := c.leader()
	if c.majority() && leader != "" {
		return leader, nil
	}
	if c.majority() {
		return "", ErrUnknownMaster
	}
	err := fmt.Errorf("%w: %d of %d known sentinels agree on a master, which is no majority", ErrNotSent, votes, c.known())
	for _, m := range c.members {
		if a := c.opinions[m]; a != nil && a.err != nil && !errors.Is(a.err, ErrClosed) {
			return "", fmt.Errorf("%w: %s: %w", err, m.o.Address, a.err)
		}
	}
	return "", err
}

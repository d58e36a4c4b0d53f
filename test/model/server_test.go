package model

import (
	"fmt"
	"math"
	pathpkg "path"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A server is a Redis as far as the plugin needs one. It carries out a command at the
// moment when it arrives on a connection. network.mu guards it.
type server struct {
	n       *network
	data    map[string]*entry
	clients []*client
	run     int // of the process
	writes  uint64
	loading time.Time // until then the data are being read

	scripts   bool // EVAL is known; else the client falls back to transactions
	tracks    bool // CLIENT TRACKING is known; else replicas notify each other
	functions map[string]bool
	lua       *machine
	counts    map[string]int // commands carried out

	full   bool      // the server has no room for writes
	roomed time.Time // it has room again since then
	at     int       // the run of the process that carries out a command

	waiting []*conn // connections with bytes that arrived while the process is stopped
}

// An entry is a value: a string, or a sorted set.
type entry struct {
	value   string
	scores  map[string]float64
	expires time.Time // zero: never
	version uint64
}

// A client is the server's end of a connection.
type client struct {
	c        *conn
	run      int // of the process that accepted the connection
	in       []byte
	proto    int
	queue    [][]string // since MULTI; nil outside
	watched  map[string]uint64
	prefixes []string // tracked
	channel  string   // subscribed
	listens  bool     // it is an invalidation link
	left     bool
}

// Replies are nil, an int64, a string, a status, a failure or a list of them.
type (
	status  string
	failure string
	list    []any
)

func newServer(n *network) *server {
	return &server{n: n, data: map[string]*entry{}, run: 1, functions: map[string]bool{}, counts: map[string]int{}, scripts: true, tracks: true}
}

func (s *server) accept(c *conn) *client {
	k := &client{c: c, run: s.run, proto: 2}
	s.clients = append(s.clients, k)
	return k
}

func (s *server) leave(k *client) {
	k.left = true
	for i, other := range s.clients {
		if other == k {
			s.clients = append(s.clients[:i:i], s.clients[i+1:]...)
			return
		}
	}
}

// receive carries out the commands that are complete with b.
func (s *server) receive(k *client, b []byte) {
	k.in = append(k.in, b...)
	var out []byte
	for {
		args, rest, ok := cutCommand(k.in)
		if !ok {
			break
		}
		k.in = rest
		out = appendReply(out, k.proto, s.run1(k, args))
		if args[0] == "CLIENT" || args[0] == "SUBSCRIBE" || args[0] == "HELLO" {
			k.listens = k.proto == 3 || k.channel != ""
		}
	}
	k.c.answerLocked(out)
}

// cutCommand cuts an array of strings off b.
func cutCommand(b []byte) ([]string, []byte, bool) {
	n, rest, ok := cutNumber(b, '*')
	if !ok {
		return nil, b, false
	}
	args := make([]string, n)
	for i := range args {
		size, after, ok := cutNumber(rest, '$')
		if !ok || len(after) < size+2 {
			return nil, b, false
		}
		args[i] = string(after[:size])
		rest = after[size+2:]
	}
	args[0] = strings.ToUpper(args[0])
	return args, rest, true
}

func cutNumber(b []byte, kind byte) (int, []byte, bool) {
	for i := 1; i < len(b); i++ {
		if b[i] == '\n' {
			n, err := strconv.Atoi(string(b[1 : i-1]))
			if err != nil || b[0] != kind {
				panic(fmt.Sprintf("not a command: %q", b))
			}
			return n, b[i+1:], true
		}
	}
	return 0, nil, false
}

func appendReply(b []byte, proto int, r any) []byte {
	switch v := r.(type) {
	case nil:
		if proto == 3 {
			return append(b, "_\r\n"...)
		}
		return append(b, "$-1\r\n"...)
	case int64:
		return fmt.Appendf(b, ":%d\r\n", v)
	case string:
		return fmt.Appendf(b, "$%d\r\n%s\r\n", len(v), v)
	case status:
		return fmt.Appendf(b, "+%s\r\n", v)
	case failure:
		return fmt.Appendf(b, "-%s\r\n", v)
	case list:
		if v == nil {
			if proto == 3 {
				return append(b, "_\r\n"...)
			}
			return append(b, "*-1\r\n"...)
		}
		b = fmt.Appendf(b, "*%d\r\n", len(v))
		for _, one := range v {
			b = appendReply(b, proto, one)
		}
		return b
	}
	panic(fmt.Sprintf("not a reply: %T", r))
}

// run1 carries out one command, or queues it.
func (s *server) run1(k *client, args []string) any {
	s.counts[args[0]]++
	s.at = k.run
	switch args[0] {
	case "HELLO":
		k.proto = int(args[1][0] - '0')
		return list{"server", "redis", "proto", int64(k.proto)}
	case "CLIENT":
		return s.client(k, args)
	case "SELECT", "AUTH":
		return status("OK")
	case "PING":
		if s.loading.After(time.Now()) {
			return failure("LOADING Redis is loading the dataset in memory")
		}
		if k.channel != "" {
			return list{"pong", ""}
		}
		if len(args) > 1 {
			return args[1]
		}
		return status("PONG")
	}
	if s.loading.After(time.Now()) {
		return failure("LOADING Redis is loading the dataset in memory")
	}
	if k.queue != nil && args[0] != "EXEC" && args[0] != "DISCARD" {
		k.queue = append(k.queue, args)
		return status("QUEUED")
	}
	switch args[0] {
	case "WATCH", "UNWATCH", "MULTI", "EXEC", "DISCARD":
		return s.transaction(k, args)
	case "SUBSCRIBE":
		k.channel = args[1]
		return list{"subscribe", args[1], int64(1)}
	}
	return s.command(args)
}

func (s *server) client(k *client, args []string) any {
	if strings.ToUpper(args[1]) != "TRACKING" {
		return status("OK")
	}
	if !s.tracks {
		return failure("ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.")
	}
	k.prefixes = nil
	for i, a := range args {
		if a == "PREFIX" {
			k.prefixes = append(k.prefixes, args[i+1])
		}
	}
	return status("OK")
}

func (s *server) lookup(key string) *entry {
	e := s.data[key]
	if e != nil && !e.expires.IsZero() && !time.Now().Before(e.expires) {
		s.remove(key)
		return nil
	}
	return e
}

func (s *server) store(key string, e *entry) {
	s.writes++
	e.version = s.writes
	s.data[key] = e
	s.changed(key)
}

func (s *server) remove(key string) {
	s.writes++
	delete(s.data, key)
	s.changed(key)
}

// changed sends an invalidation to the clients that track key.
func (s *server) changed(key string) {
	for _, k := range s.clients {
		for _, p := range k.prefixes {
			if strings.HasPrefix(key, p) {
				k.c.answerLocked(fmt.Appendf(nil, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%s\r\n", len(key), key))
				break
			}
		}
	}
}

const wrongType = failure("WRONGTYPE Operation against a key holding the wrong kind of value")

// command carries out one command, also for a script.
func (s *server) command(args []string) any {
	if refusal := s.refusal(args[0]); refusal != "" {
		return refusal
	}
	switch args[0] {
	case "GET":
		return s.get(args[1])
	case "MGET":
		var found list
		for _, key := range args[1:] {
			found = append(found, s.get(key))
		}
		return found
	case "SET":
		return s.set(args)
	case "DEL", "UNLINK", "EXISTS":
		return s.each(args)
	case "PTTL":
		return s.pttl(args[1])
	case "PEXPIRE", "PEXPIREAT":
		return s.pexpire(args)
	case "ZADD", "ZREM", "ZRANGE", "ZRANGEBYSCORE", "ZREMRANGEBYSCORE", "ZCARD", "ZSCORE", "ZSCAN":
		return s.sorted(args)
	case "SCAN":
		return s.scan(args)
	case "FLUSHALL":
		s.flush()
		return status("OK")
	case "INFO":
		return fmt.Sprintf("# Server\r\nrun_id:%040d\r\nrole:master\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n", s.at)
	case "TIME":
		now := time.Now()
		return list{strconv.FormatInt(now.Unix(), 10), strconv.Itoa(now.Nanosecond() / 1000)}
	case "PUBLISH":
		return s.publish(args[1], args[2])
	case "EVAL", "EVALSHA":
		if s.scripts {
			return s.eval(args)
		}
	}
	return failure(fmt.Sprintf("ERR unknown command '%s', with args beginning with: ", args[0]))
}

// refusal returns the reply to a write that the process refuses, or nothing if it accepts
// the write. The process before a move is a replica, which has the data of its master.
func (s *server) refusal(command string) failure {
	switch command {
	case "SET", "ZADD":
		if s.full {
			return "OOM command not allowed when used memory > 'maxmemory'."
		}
	case "DEL", "UNLINK", "PEXPIRE", "PEXPIREAT", "ZREM", "ZREMRANGEBYSCORE", "FLUSHALL":
	default:
		return ""
	}
	if s.at != s.run {
		return "READONLY You can't write against a read only replica."
	}
	return ""
}

// move promotes a replica. The server's name leads to it from now on. Connections to the
// process before stay.
func (s *server) move() {
	s.n.mu.Lock()
	s.run++
	s.n.mu.Unlock()
}

// fill has the server refuse writes, until room.
func (s *server) fill() {
	s.n.mu.Lock()
	s.full = true
	s.n.mu.Unlock()
}

// room has a server that refused writes accept them again.
func (s *server) room() {
	s.n.mu.Lock()
	s.full = false
	s.roomed = time.Now()
	s.n.mu.Unlock()
}

func (s *server) get(key string) any {
	e := s.lookup(key)
	if e == nil {
		return nil
	}
	if e.scores != nil {
		return wrongType
	}
	return e.value
}

func (s *server) set(args []string) any {
	e := &entry{value: args[2]}
	there := s.lookup(args[1])
	for i := 3; i < len(args); i++ {
		switch strings.ToUpper(args[i]) {
		case "NX":
			if there != nil {
				return nil
			}
		case "XX":
			if there == nil {
				return nil
			}
		case "PX":
			i++
			ms, err := strconv.ParseInt(args[i], 10, 64)
			if err != nil || ms <= 0 {
				return failure("ERR invalid expire time in 'set' command")
			}
			e.expires = time.Now().Add(time.Duration(ms) * time.Millisecond)
		case "KEEPTTL":
			if there != nil {
				e.expires = there.expires
			}
		default:
			return failure("ERR syntax error")
		}
	}
	s.store(args[1], e)
	return status("OK")
}

func (s *server) each(args []string) any {
	n := int64(0)
	for _, key := range args[1:] {
		if s.lookup(key) == nil {
			continue
		}
		n++
		if args[0] != "EXISTS" {
			s.remove(key)
		}
	}
	return n
}

func (s *server) pttl(key string) any {
	e := s.lookup(key)
	if e == nil {
		return int64(-2)
	}
	if e.expires.IsZero() {
		return int64(-1)
	}
	return time.Until(e.expires).Milliseconds()
}

func (s *server) pexpire(args []string) any {
	e := s.lookup(args[1])
	ms, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return failure("ERR value is not an integer or out of range")
	}
	if e == nil {
		return int64(0)
	}
	at := time.UnixMilli(ms)
	if args[0] == "PEXPIRE" {
		at = time.Now().Add(time.Duration(ms) * time.Millisecond)
	}
	for _, flag := range args[3:] {
		if strings.ToUpper(flag) == "GT" && (e.expires.IsZero() || !at.After(e.expires)) {
			return int64(0)
		}
	}
	if !at.After(time.Now()) {
		s.remove(args[1])
		return int64(1)
	}
	changed := *e
	changed.expires = at
	s.store(args[1], &changed)
	return int64(1)
}

// bound reads an end of a range of scores.
func bound(text string) (float64, bool) {
	open := strings.HasPrefix(text, "(")
	switch text = strings.TrimPrefix(text, "("); text {
	case "-inf":
		return math.Inf(-1), open
	case "+inf", "inf":
		return math.Inf(1), open
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic("not a score: " + text)
	}
	return f, open
}

func within(score float64, from, to string) bool {
	low, above := bound(from)
	high, below := bound(to)
	return (score > low || score == low && !above) && (score < high || score == high && !below)
}

func formatScore(f float64) string {
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// sorted carries out the commands of sorted sets.
func (s *server) sorted(args []string) any {
	e := s.lookup(args[1])
	if e != nil && e.scores == nil {
		return wrongType
	}
	changed := &entry{scores: map[string]float64{}}
	var members []string
	if e != nil {
		changed.expires = e.expires
		for m, score := range e.scores {
			changed.scores[m] = score
			members = append(members, m)
		}
	}
	sort.Slice(members, func(i, j int) bool {
		a, b := changed.scores[members[i]], changed.scores[members[j]]
		return a < b || a == b && members[i] < members[j]
	})
	n := int64(0)
	switch args[0] {
	case "ZADD":
		return s.zadd(args, changed)
	case "ZREM":
		for _, m := range args[2:] {
			if _, there := changed.scores[m]; there {
				n++
				delete(changed.scores, m)
			}
		}
		return s.shrunk(args[1], changed, n)
	case "ZREMRANGEBYSCORE":
		for _, m := range members {
			if within(changed.scores[m], args[2], args[3]) {
				n++
				delete(changed.scores, m)
			}
		}
		return s.shrunk(args[1], changed, n)
	case "ZCARD":
		return int64(len(members))
	case "ZSCORE":
		if score, there := changed.scores[args[2]]; there {
			return formatScore(score)
		}
		return nil
	case "ZSCAN":
		found := list{}
		for _, m := range members {
			found = append(found, m, formatScore(changed.scores[m]))
		}
		return list{"0", found}
	case "ZRANGEBYSCORE":
		found := list{}
		for _, m := range members {
			if within(changed.scores[m], args[2], args[3]) {
				found = append(found, m)
			}
		}
		return limited(found, args[4:])
	}
	return zrange(members, changed.scores, args)
}

func limited(found list, options []string) any {
	for i, o := range options {
		if strings.ToUpper(o) != "LIMIT" {
			continue
		}
		from, _ := strconv.Atoi(options[i+1])
		count, _ := strconv.Atoi(options[i+2])
		from = min(from, len(found))
		if count < 0 {
			count = len(found)
		}
		found = found[from:min(from+count, len(found))]
	}
	return append(list{}, found...)
}

func zrange(members []string, scores map[string]float64, args []string) any {
	found := list{}
	for _, o := range args[4:] {
		if strings.ToUpper(o) == "BYSCORE" {
			for _, m := range members {
				if within(scores[m], args[2], args[3]) {
					found = append(found, m)
				}
			}
			return limited(found, args[4:])
		}
	}
	from, _ := strconv.Atoi(args[2])
	to, _ := strconv.Atoi(args[3])
	if from < 0 {
		from = max(from+len(members), 0)
	}
	if to < 0 {
		to += len(members)
	}
	for i := from; i <= to && i < len(members); i++ {
		found = append(found, members[i])
	}
	return found
}

func (s *server) zadd(args []string, changed *entry) any {
	n := int64(0)
	rest := args[2:]
	greater := false
	for len(rest)%2 == 1 || rest[0] == "GT" || rest[0] == "NX" || rest[0] == "XX" || rest[0] == "CH" {
		switch strings.ToUpper(rest[0]) {
		case "GT":
			greater = true
		default:
			return failure("ERR syntax error")
		}
		rest = rest[1:]
	}
	for i := 0; i < len(rest); i += 2 {
		score, _ := bound(rest[i])
		old, there := changed.scores[rest[i+1]]
		if !there {
			n++
		}
		if !there || !greater || score > old {
			changed.scores[rest[i+1]] = score
		}
	}
	s.store(args[1], changed)
	return n
}

func (s *server) shrunk(key string, changed *entry, n int64) any {
	switch {
	case n == 0:
	case len(changed.scores) == 0:
		s.remove(key)
	default:
		s.store(key, changed)
	}
	return n
}

func (s *server) scan(args []string) any {
	pattern := "*"
	for i := 2; i+1 < len(args); i += 2 {
		if strings.ToUpper(args[i]) == "MATCH" {
			pattern = args[i+1]
		}
	}
	found := list{}
	for _, key := range s.keys() {
		if matched, _ := pathpkg.Match(pattern, key); matched {
			found = append(found, key)
		}
	}
	return list{"0", found}
}

func (s *server) keys() []string {
	var keys []string
	for key := range s.data {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// flush is FLUSHALL.
func (s *server) flush() {
	s.data = map[string]*entry{}
	s.writes++
	for _, k := range s.clients {
		if k.prefixes != nil {
			k.c.answerLocked([]byte(">2\r\n$10\r\ninvalidate\r\n_\r\n"))
		}
	}
}

func (s *server) transaction(k *client, args []string) any {
	switch args[0] {
	case "WATCH":
		if k.watched == nil {
			k.watched = map[string]uint64{}
		}
		for _, key := range args[1:] {
			k.watched[key] = s.version(key)
		}
		return status("OK")
	case "UNWATCH":
		k.watched = nil
		return status("OK")
	case "MULTI":
		k.queue = [][]string{}
		return status("OK")
	case "DISCARD":
		k.queue, k.watched = nil, nil
		return status("OK")
	}
	queue, watched := k.queue, k.watched
	k.queue, k.watched = nil, nil
	for key, v := range watched {
		if s.version(key) != v {
			return list(nil)
		}
	}
	replies := list{}
	for _, q := range queue {
		replies = append(replies, s.command(q))
	}
	return replies
}

func (s *server) version(key string) uint64 {
	if e := s.lookup(key); e != nil {
		return e.version
	}
	return 0
}

func (s *server) publish(channel, message string) any {
	n := int64(0)
	for _, k := range s.clients {
		if k.channel == channel {
			n++
			k.c.answerLocked(appendReply(nil, k.proto, list{"message", channel, message}))
		}
	}
	return n
}

// stop is SIGSTOP. Bytes that arrive wait.
func (s *server) stop() {
	s.n.mu.Lock()
	s.n.stopped = true
	s.n.mu.Unlock()
}

// proceed is SIGCONT.
func (s *server) proceed() {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	s.n.stopped = false
	for _, c := range s.waiting {
		waiting := c.waiting
		c.waiting = nil
		for _, b := range waiting {
			if !c.lost {
				s.receive(c.client, b)
			}
		}
	}
	s.waiting = nil
}

// crash ends the process. Connections break, and new ones are refused.
func (s *server) crash() {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	s.n.down = true
	s.n.stopped = false
	s.waiting = nil
	for _, p := range s.n.paths {
		p.resetLocked()
	}
}

// start begins another process, with the data as they were, or none.
func (s *server) start(withData bool, loading time.Duration) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	s.n.down = false
	s.run++
	s.functions = map[string]bool{}
	s.loading = time.Now().Add(loading)
	if !withData {
		s.data = map[string]*entry{}
	}
}

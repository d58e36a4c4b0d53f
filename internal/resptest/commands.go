package resptest

import (
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"
)

// An entry is a value of a key: a string or a sorted set.
type entry struct {
	value   string
	scores  map[string]float64
	expires time.Time // zero: never
	version uint64
}

func (s *Server) lookupLocked(db int, key string) *entry {
	e := s.data[db][key]
	if e != nil && !e.expires.IsZero() && !s.now().Before(e.expires) {
		s.removeLocked(db, key)
		return nil
	}
	return e
}

func (s *Server) storeLocked(db int, key string, e *entry) {
	if s.data[db] == nil {
		s.data[db] = map[string]*entry{}
	}
	s.writes++
	e.version = s.writes
	s.data[db][key] = e
	s.changedLocked(key)
}

func (s *Server) removeLocked(db int, key string) bool {
	if s.data[db][key] == nil {
		return false
	}
	delete(s.data[db], key)
	s.writes++
	s.changedLocked(key)
	return true
}

// changedLocked sends an invalidation to each connection that tracks key.
func (s *Server) changedLocked(key string) {
	for c := range s.conns {
		if !c.tracking {
			continue
		}
		for _, p := range c.prefixes {
			if strings.HasPrefix(key, p) {
				go c.send(">2\r\n" + bulk("invalidate") + list(bulk(key)))
				break
			}
		}
	}
}

func (s *Server) keysLocked(db int) []string {
	var keys []string
	for k := range s.data[db] {
		if s.lookupLocked(db, k) != nil {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

// run executes or queues a command and returns the reply.
func (c *conn) run(args []string) string {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch args[0] {
	case "HELLO", "AUTH", "SELECT", "CLIENT":
		return c.handshake(args)
	}
	if len(s.users) > 0 && !c.authed {
		return failure("NOAUTH Authentication required.")
	}
	if s.refusal != "" && (args[0] != "PING" || refusesPing(s.refusal)) {
		return failure(s.refusal)
	}
	if c.queue != nil && args[0] != "EXEC" && args[0] != "DISCARD" {
		c.queue = append(c.queue, args)
		return "+QUEUED\r\n"
	}
	return c.command(args)
}

// refusesPing reports whether a Redis server that fails with this error also fails PING.
func refusesPing(refusal string) bool {
	word, _, _ := strings.Cut(refusal, " ")
	switch word {
	case "LOADING", "BUSY", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM":
		return true
	}
	return false
}

func (c *conn) handshake(args []string) string {
	s := c.s
	switch args[0] {
	case "HELLO":
		return c.hello(args)
	case "AUTH":
		if len(args) == 2 {
			return c.auth("default", args[1])
		}
		if len(args) == 3 {
			return c.auth(args[1], args[2])
		}
		return failure("ERR wrong number of arguments for 'auth' command")
	}
	if len(s.users) > 0 && !c.authed {
		return failure("NOAUTH Authentication required.")
	}
	if args[0] == "SELECT" {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 || n > 15 {
			return failure("ERR DB index is out of range")
		}
		c.db = n
		return ok
	}
	return c.client(args)
}

func (c *conn) hello(args []string) string {
	if len(args) > 1 {
		if args[1] != "2" && args[1] != "3" {
			return failure("NOPROTO unsupported protocol version")
		}
	}
	for i := 2; i < len(args); i++ {
		if strings.EqualFold(args[i], "AUTH") && i+2 < len(args) {
			if reply := c.auth(args[i+1], args[i+2]); reply != ok {
				return reply
			}
			i += 2
		}
	}
	if len(c.s.users) > 0 && !c.authed {
		return failure("NOAUTH HELLO must be called with the client already authenticated")
	}
	if len(args) > 1 {
		c.proto = int(args[1][0] - '0')
	}
	items := []string{
		bulk("server"), bulk("redis"), bulk("version"), bulk("7.0.15"), bulk("proto"), integer(c.proto),
		bulk("id"), integer(1), bulk("mode"), bulk("standalone"), bulk("role"), bulk("master"), bulk("modules"), "*0\r\n",
	}
	if c.proto == 3 {
		return fmt.Sprintf("%%%d\r\n%s", len(items)/2, strings.Join(items, ""))
	}
	return list(items...)
}

func (c *conn) auth(user, password string) string {
	if want, known := c.s.users[user]; !known || want != password {
		if len(c.s.users) == 0 {
			return failure("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
		}
		return failure("WRONGPASS invalid username-password pair or user is disabled.")
	}
	c.authed, c.user = true, user
	return ok
}

func (c *conn) client(args []string) string {
	if len(args) < 2 {
		return failure("ERR wrong number of arguments for 'client' command")
	}
	switch strings.ToUpper(args[1]) {
	case "SETNAME":
		return ok
	case "ID":
		return integer(1)
	case "TRACKING":
		if c.proto != 3 {
			return failure("ERR Client tracking can be enabled only in RESP3 mode or when using redirection")
		}
		c.tracking = true
		c.prefixes = nil
		for i, a := range args {
			if strings.EqualFold(a, "PREFIX") && i+1 < len(args) {
				c.prefixes = append(c.prefixes, args[i+1])
			}
		}
		if c.prefixes == nil {
			c.prefixes = []string{""}
		}
		return ok
	}
	return failure("ERR unknown subcommand")
}

// minArgs has the minimum number of arguments of commands, including the name.
var minArgs = map[string]int{
	"ECHO": 2, "GET": 2, "MGET": 2, "SET": 3, "DEL": 2, "UNLINK": 2, "EXISTS": 2, "TYPE": 2, "PTTL": 2, "PEXPIREAT": 3, "PEXPIRE": 3, "ZSCAN": 3,
	"SCAN": 2, "WATCH": 2, "ZADD": 4, "ZREM": 3, "ZCARD": 2, "GETRANGE": 4, "ZRANGEBYSCORE": 4, "ZREMRANGEBYSCORE": 4, "PUBLISH": 3, "SUBSCRIBE": 2,
	"CONFIG": 3,
}

func (c *conn) command(args []string) string {
	s := c.s
	if len(args) < minArgs[args[0]] {
		return failure("ERR wrong number of arguments for '" + strings.ToLower(args[0]) + "' command")
	}
	switch args[0] {
	case "PING":
		return c.ping(args)
	case "ECHO":
		return bulk(args[1])
	case "GET":
		return c.get(args[1])
	case "GETRANGE":
		return c.getRange(args)
	case "MGET":
		var items []string
		for _, k := range args[1:] {
			items = append(items, c.get(k))
		}
		return list(items...)
	case "SET":
		return c.set(args)
	case "DEL", "UNLINK", "EXISTS":
		return c.countOrDelete(args)
	case "TYPE":
		return c.kind(args[1])
	case "PTTL":
		return c.pttl(args[1])
	case "PEXPIREAT":
		return c.pexpireat(args)
	case "PEXPIRE":
		ms, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			return failure("ERR value is not an integer or out of range")
		}
		at := s.now().Add(time.Duration(ms) * time.Millisecond)
		return c.pexpireat([]string{args[0], args[1], strconv.FormatInt(at.UnixMilli(), 10)})
	case "SCAN":
		return c.scan(args)
	case "DBSIZE":
		return integer(len(s.keysLocked(c.db)))
	case "FLUSHALL", "FLUSHDB":
		return c.flush(args[0] == "FLUSHALL")
	case "WATCH", "UNWATCH", "MULTI", "EXEC", "DISCARD":
		return c.transaction(args)
	case "ZADD", "ZREM", "ZCARD", "ZRANGEBYSCORE", "ZREMRANGEBYSCORE", "ZSCAN":
		return c.sorted(args)
	case "INFO":
		return bulk("# Server\r\nredis_version:7.0.15\r\nrun_id:" + s.runID + "\r\nrole:master\r\nmaxmemory:" + s.config["maxmemory"] + "\r\nmaxmemory_policy:" + s.config["maxmemory-policy"] + "\r\n")
	case "CONFIG":
		if v, known := s.config[args[2]]; known {
			return list(bulk(args[2]), bulk(v))
		}
		return list()
	case "PUBLISH":
		return c.publish(args[1], args[2])
	case "SUBSCRIBE":
		c.channels = map[string]bool{args[1]: true}
		return list(bulk("subscribe"), bulk(args[1]), integer(1))
	}
	return failure(fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", args[0], strings.Join(args[1:], " ")))
}

func (c *conn) ping(args []string) string {
	payload := ""
	if len(args) > 1 {
		payload = args[1]
	}
	if c.channels != nil && c.proto == 2 {
		return list(bulk("pong"), bulk(payload))
	}
	if len(args) > 1 {
		return bulk(payload)
	}
	return "+PONG\r\n"
}

func (c *conn) get(key string) string {
	e := c.s.lookupLocked(c.db, key)
	if e == nil {
		return c.null()
	}
	if e.scores != nil {
		return wrongType
	}
	return bulk(e.value)
}

// getRange supports only offsets that are not negative.
func (c *conn) getRange(args []string) string {
	e := c.s.lookupLocked(c.db, args[1])
	if e != nil && e.scores != nil {
		return wrongType
	}
	from, err1 := strconv.Atoi(args[2])
	to, err2 := strconv.Atoi(args[3])
	if err1 != nil || err2 != nil || from < 0 || to < 0 {
		return failure("ERR value is not an integer or out of range")
	}
	if e == nil || from >= len(e.value) || to < from {
		return bulk("")
	}
	if to >= len(e.value) {
		to = len(e.value) - 1
	}
	return bulk(e.value[from : to+1])
}

const wrongType = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

func (c *conn) set(args []string) string {
	s := c.s
	e := &entry{value: args[2]}
	nx, xx := false, false
	for i := 3; i < len(args); i++ {
		name := strings.ToUpper(args[i])
		switch name {
		case "NX":
			nx = true
			continue
		case "XX":
			xx = true
			continue
		}
		if i+1 >= len(args) {
			return failure("ERR syntax error")
		}
		i++
		n, err := strconv.ParseInt(args[i], 10, 64)
		if err != nil || n <= 0 {
			return failure("ERR invalid expire time in 'set' command")
		}
		switch name {
		case "PX":
			e.expires = s.now().Add(time.Duration(n) * time.Millisecond)
		case "EX":
			e.expires = s.now().Add(time.Duration(n) * time.Second)
		case "PXAT":
			e.expires = time.UnixMilli(n)
		case "EXAT":
			e.expires = time.Unix(n, 0)
		default:
			return failure("ERR syntax error")
		}
	}
	there := s.lookupLocked(c.db, args[1]) != nil
	if nx && there || xx && !there {
		return c.null()
	}
	s.storeLocked(c.db, args[1], e)
	return ok
}

// countOrDelete executes DEL, UNLINK and EXISTS.
func (c *conn) countOrDelete(args []string) string {
	n := 0
	for _, k := range args[1:] {
		if c.s.lookupLocked(c.db, k) == nil {
			continue
		}
		n++
		if args[0] != "EXISTS" {
			c.s.removeLocked(c.db, k)
		}
	}
	return integer(n)
}

func (c *conn) kind(key string) string {
	e := c.s.lookupLocked(c.db, key)
	if e == nil {
		return "+none\r\n"
	}
	if e.scores != nil {
		return "+zset\r\n"
	}
	return "+string\r\n"
}

func (c *conn) pttl(key string) string {
	e := c.s.lookupLocked(c.db, key)
	if e == nil {
		return integer(-2)
	}
	if e.expires.IsZero() {
		return integer(-1)
	}
	return integer(int(e.expires.Sub(c.s.now()).Milliseconds()))
}

func (c *conn) pexpireat(args []string) string {
	e := c.s.lookupLocked(c.db, args[1])
	ms, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return failure("ERR value is not an integer or out of range")
	}
	if e == nil {
		return integer(0)
	}
	e.expires = time.UnixMilli(ms)
	return integer(1)
}

// scan returns the keys in pages of COUNT. The cursor is a position in the sorted keys.
func (c *conn) scan(args []string) string {
	from, err := strconv.Atoi(args[1])
	if err != nil {
		return failure("ERR invalid cursor")
	}
	pattern, count := "*", 10
	for i := 2; i+1 < len(args); i += 2 {
		switch strings.ToUpper(args[i]) {
		case "MATCH":
			pattern = args[i+1]
		case "COUNT":
			count, _ = strconv.Atoi(args[i+1])
		}
	}
	keys := c.s.keysLocked(c.db)
	to := from + count
	next := strconv.Itoa(to)
	if to >= len(keys) {
		to, next = len(keys), "0"
	}
	var page []string
	for i := from; i < to; i++ {
		if matched, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(keys[i], "/", "\x00")); matched {
			page = append(page, bulk(keys[i]))
		}
	}
	return list(bulk(next), list(page...))
}

func (c *conn) flush(all bool) string {
	s := c.s
	if all {
		s.data = map[int]map[string]*entry{}
	} else {
		delete(s.data, c.db)
	}
	s.writes++
	for other := range s.conns {
		if other.tracking {
			go other.send(">2\r\n" + bulk("invalidate") + "_\r\n")
		}
	}
	return ok
}

func (c *conn) transaction(args []string) string {
	s := c.s
	switch args[0] {
	case "WATCH":
		if c.watched == nil {
			c.watched = map[string]uint64{}
		}
		for _, k := range args[1:] {
			c.watched[k] = s.versionLocked(c.db, k)
		}
		return ok
	case "UNWATCH":
		c.watched = nil
		return ok
	case "MULTI":
		c.queue = [][]string{}
		return ok
	case "DISCARD":
		c.queue, c.watched = nil, nil
		return ok
	}
	if c.queue == nil {
		return failure("ERR EXEC without MULTI")
	}
	queue, watched := c.queue, c.watched
	c.queue, c.watched = nil, nil
	for k, v := range watched {
		if s.versionLocked(c.db, k) != v {
			if c.proto == 3 {
				return "_\r\n"
			}
			return "*-1\r\n"
		}
	}
	var items []string
	for _, q := range queue {
		items = append(items, c.command(q))
	}
	return list(items...)
}

func (s *Server) versionLocked(db int, key string) uint64 {
	if e := s.lookupLocked(db, key); e != nil {
		return e.version
	}
	return 0
}

func (c *conn) publish(channel, message string) string {
	n := 0
	for other := range c.s.conns {
		if other.channels[channel] {
			n++
			go other.send(list(bulk("message"), bulk(channel), bulk(message)))
		}
	}
	return integer(n)
}

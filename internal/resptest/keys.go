package resptest

import (
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

func (s *Server) versionLocked(db int, key string) uint64 {
	if e := s.lookupLocked(db, key); e != nil {
		return e.version
	}
	return 0
}

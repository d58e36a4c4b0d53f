package resptest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

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

package resp

import "strconv"

// sized holds the bytes between two arguments, by the length of the second: the
// end of the first and the header of the second.
var sized = makeSized(sizes)

// sizes is the number of lengths in sized.
const sizes = 1024

func makeSized(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "\r\n$" + strconv.Itoa(i) + "\r\n"
	}
	return out
}

// appendSize ends an argument and begins one of n bytes.
func appendSize(b []byte, n int) []byte {
	if n < sizes {
		return append(b, sized[n]...)
	}
	b = append(b, "\r\n$"...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "\r\n"...)
}

// appendCommand appends args as a server expects them: an array of strings.
func appendCommand(b []byte, args []string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	for _, a := range args {
		b = appendSize(b, len(a))
		b = append(b, a...)
	}
	return append(b, "\r\n"...)
}

// repeatable lists the commands that leave the same state, and give no wrong
// reply, when they are carried out twice. They are sent again after an
// ambiguous outcome. SET is one as long as it has no condition.
var repeatable = map[string]bool{
	"PING": true, "ECHO": true, "GET": true, "MGET": true, "EXISTS": true, "STRLEN": true, "GETRANGE": true, "TYPE": true,
	"TTL": true, "PTTL": true, "SCAN": true, "INFO": true, "ROLE": true, "TIME": true, "DBSIZE": true, "HELLO": true,
	"ZRANGE": true, "ZRANGEBYSCORE": true, "ZCARD": true, "ZCOUNT": true, "ZSCORE": true,
	"SMEMBERS": true, "SISMEMBER": true, "SCARD": true, "HGET": true, "HGETALL": true, "HMGET": true,
	"SET": true, "DEL": true, "UNLINK": true, "PSETEX": true, "SETEX": true, "PEXPIREAT": true, "PEXPIRE": true,
	"EXPIRE": true, "ZADD": true, "ZREM": true, "ZREMRANGEBYSCORE": true, "SADD": true, "SREM": true,
	"HSET": true, "HDEL": true, "PUBLISH": true, "CONFIG": true,
}

// isRepeatable reports whether args may be sent again without harm.
func isRepeatable(args []string) bool {
	if !repeatable[args[0]] {
		return false
	}
	switch args[0] {
	case "SET":
		return len(args) == 3 || len(args) == 5 && (args[3] == "PX" || args[3] == "PXAT" || args[3] == "EX")
	case "ZADD":
		return len(args)%2 == 0
	}
	return true
}

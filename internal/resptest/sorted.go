package resptest

import (
	"math"
	"sort"
	"strconv"
	"strings"
)

// sorted executes the commands for sorted sets.
func (c *conn) sorted(args []string) string {
	e := c.s.lookupLocked(c.db, args[1])
	if e != nil && e.scores == nil {
		return wrongType
	}
	if e == nil {
		e = &entry{scores: map[string]float64{}}
	}
	switch args[0] {
	case "ZADD":
		return c.zadd(e, args)
	case "ZREM":
		n := 0
		for _, m := range args[2:] {
			if _, there := e.scores[m]; there {
				delete(e.scores, m)
				n++
			}
		}
		c.keep(args[1], e, n > 0)
		return integer(n)
	case "ZCARD":
		return integer(len(e.scores))
	case "ZSCAN":
		return zscan(e)
	}
	from, exclusive, ok1 := bound(args[2])
	to, exclusiveTo, ok2 := bound(args[3])
	if !ok1 || !ok2 {
		return failure("ERR min or max is not a float")
	}
	var members []string
	for m, score := range e.scores {
		if score < from || score > to || exclusive && score == from || exclusiveTo && score == to {
			continue
		}
		members = append(members, m)
	}
	sort.Slice(members, func(i, j int) bool {
		a, b := e.scores[members[i]], e.scores[members[j]]
		return a < b || a == b && members[i] < members[j]
	})
	if args[0] == "ZREMRANGEBYSCORE" {
		for _, m := range members {
			delete(e.scores, m)
		}
		c.keep(args[1], e, len(members) > 0)
		return integer(len(members))
	}
	var items []string
	for _, m := range members {
		items = append(items, bulk(m))
	}
	return list(items...)
}

// zscan returns every member in one page.
func zscan(e *entry) string {
	var items []string
	for m, score := range e.scores {
		items = append(items, bulk(m), bulk(strconv.FormatFloat(score, 'f', -1, 64)))
	}
	return list(bulk("0"), list(items...))
}

func (c *conn) zadd(e *entry, args []string) string {
	pairs := args[2:]
	greater := false
	for len(pairs) > 0 {
		option := strings.ToUpper(pairs[0])
		if option != "GT" && option != "CH" {
			break
		}
		greater = greater || option == "GT"
		pairs = pairs[1:]
	}
	if len(pairs) == 0 || len(pairs)%2 != 0 {
		return failure("ERR syntax error")
	}
	n := 0
	for i := 0; i < len(pairs); i += 2 {
		score, err := strconv.ParseFloat(pairs[i], 64)
		if err != nil {
			return failure("ERR value is not a valid float")
		}
		old, there := e.scores[pairs[i+1]]
		if !there {
			n++
		}
		if !there || !greater || score > old {
			e.scores[pairs[i+1]] = score
		}
	}
	c.keep(args[1], e, true)
	return integer(n)
}

// keep stores a set if it was changed, and removes it if it is empty.
func (c *conn) keep(key string, e *entry, changed bool) {
	if !changed {
		return
	}
	if len(e.scores) == 0 {
		c.s.removeLocked(c.db, key)
		return
	}
	c.s.storeLocked(c.db, key, e)
}

// bound parses a bound of ZRANGEBYSCORE: a number, -inf or +inf, exclusive after an
// opening parenthesis.
func bound(text string) (score float64, exclusive, valid bool) {
	if rest, found := strings.CutPrefix(text, "("); found {
		text, exclusive = rest, true
	}
	switch text {
	case "-inf":
		return math.Inf(-1), exclusive, true
	case "+inf", "inf":
		return math.Inf(1), exclusive, true
	}
	score, err := strconv.ParseFloat(text, 64)
	return score, exclusive, err == nil
}

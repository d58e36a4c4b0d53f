package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// recordLua is kindOf and the order of eight bytes at an offset, for scripts.
const recordLua = `
local function kind(b)
  local mark = string.byte(b, 1)
  if not mark or mark < 160 or mark > 175 then return 'opaque' end
  if mark > 161 then return 'foreign' end
  if mark ~= 161 or #b < 19 then return 'opaque' end
  local state = string.byte(b, 3)
  if state == 1 then return 'live' end
  if state == 2 then return 'revoked' end
  return 'opaque'
end
local function order(a, b, at)
  for i = at, at + 7 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y and -1 or 1 end
  end
  return 0
end
local key, value, px = KEYS[1], ARGV[1], ARGV[2]
local stored = redis.call('GET', key)
`

// mergeLua is merge, and the write it allows: 1 when value replaces what is
// stored, 0 when that remains, -1 when it conflicts.
const mergeLua = recordLua + `
if stored then
  local is, will = kind(stored), kind(value)
  if is == 'foreign' then return -1 end
  if is == 'revoked' then
    if will ~= 'revoked' then return -1 end
    local o = order(value, stored, 4)
    if o == 0 then o = order(value, stored, 12) end
    if o <= 0 then return 0 end
    local left = redis.call('PTTL', key)
    if left > tonumber(px) then px = left end
  elseif is == 'live' and will == 'live' and value ~= stored then
    if order(value, stored, 4) <= 0 then return -1 end
  end
end
redis.call('SET', key, value, 'PX', px)
return 1
`

var mergeScript = resp.NewScript(mergeLua, true, &mergeFallback{})

// compareScript is compare, and the write it allows: 1 when value was written,
// 0 when the key is absent, -1 when something else is stored.
var compareScript = resp.NewScript(recordLua+`
if not stored then return 0 end
local is = kind(stored)
if is == 'foreign' then return 0 end
if value ~= stored and (is ~= 'live' or string.sub(stored, 4, 11) ~= ARGV[3]) then return -1 end
redis.call('SET', key, value, 'PX', px)
return 1
`, true, &compareFallback{})

// run runs s on key. Its arguments end with what only a fallback needs: the
// whole key, and the time.
func (r *Redis) run(ctx context.Context, s *resp.Script, key string, value []byte, ttl time.Duration, version uint64) (int64, error) {
	era, err := r.allow()
	if err != nil {
		return 0, err
	}
	full := r.prefix + key
	reply, err := r.client.Eval(ctx, s, []string{full}, scriptArgs(full, value, ttl, version))
	var n int64
	if err == nil {
		n, err = reply.Integer()
	}
	return n, r.done(ctx, era, err)
}

// mergeAll merges items, each as merge does, with few round trips. It returns
// the keys that the server refuses to write, and ErrUnavailable when it could not
// be asked.
func (r *Redis) mergeAll(ctx context.Context, items []holding, now int64) ([]string, error) {
	var refused []string
	for len(items) > 0 {
		n := batch(items)
		err := r.mergeBatch(ctx, items[:n], now)
		if refusal(err) {
			var some []string
			some, err = r.mergeSingly(ctx, items[:n], now)
			refused = append(refused, some...)
		}
		if err != nil {
			return nil, err
		}
		items = items[n:]
	}
	return refused, nil
}

// refusal reports whether err says that the server serves, but not this.
func refusal(err error) bool {
	return err != nil && outcome(context.Background(), err) == circuitbreaker.Success
}

// Bounds of one round trip of mergeAll.
const (
	batchItems = 64
	batchBytes = 256 << 10
)

// batch is how many of items make one round trip.
func batch(items []holding) int {
	n := 1
	size := len(items[0].value)
	for n < len(items) && n < batchItems && size+len(items[n].value) <= batchBytes {
		size += len(items[n].value)
		n++
	}
	return n
}

func (r *Redis) mergeBatch(ctx context.Context, items []holding, now int64) error {
	era, err := r.allow()
	if err != nil {
		return err
	}
	var commands []resp.Command
	for _, x := range items {
		ttl := time.Duration(x.expires - now)
		if ttl < time.Millisecond {
			continue
		}
		full := r.prefix + x.key
		commands = append(commands, append(resp.Command{"EVAL", mergeLua, "1", full}, scriptArgs(full, x.value, ttl, 0)...))
	}
	replies, err := r.client.Pipeline(ctx, commands)
	for i := 0; err == nil && i < len(replies); i++ {
		err = replies[i].Err()
	}
	return r.done(ctx, era, err)
}

// mergeSingly merges items where some are refused, or scripts are.
func (r *Redis) mergeSingly(ctx context.Context, items []holding, now int64) ([]string, error) {
	var refused []string
	for _, x := range items {
		ttl := time.Duration(x.expires - now)
		if ttl < time.Millisecond {
			continue
		}
		_, err := r.merge(ctx, x.key, x.value, ttl)
		if refusal(err) {
			refused = append(refused, x.key)
		} else if err != nil {
			return nil, err
		}
	}
	return refused, nil
}

func scriptArgs(full string, value []byte, ttl time.Duration, version uint64) []string {
	px := strconv.FormatInt(int64((ttl+time.Millisecond-1)/time.Millisecond), 10)
	return []string{string(value), px, string(binary.BigEndian.AppendUint64(nil, version)), full}
}

func write(args []string, px string) []resp.Command {
	return []resp.Command{{"SET", args[3], args[0], "PX", px}}
}

func answer(n int64) resp.Reply {
	return resp.Reply{Kind: resp.Int, Int: n}
}

// mergeFallback does what mergeScript does.
type mergeFallback struct{}

// Decide implements resp.Fallback.
func (f *mergeFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	stored, value, px := values[0], []byte(args[0]), args[1]
	if stored == nil {
		return write(args, px), answer(1), nil
	}
	switch merge(stored, value) {
	case conflicts:
		return nil, answer(-1), nil
	case remains:
		return nil, answer(0), nil
	}
	if kindOf(stored) == revokedRecord {
		px = longer(px, expiryOf(stored)-time.Now().UnixMilli())
	}
	return write(args, px), answer(1), nil
}

// longer is the longer of two times to live in ms.
func longer(px string, left int64) string {
	if n, err := strconv.ParseInt(px, 10, 64); err == nil && n < left {
		return strconv.FormatInt(left, 10)
	}
	return px
}

// compareFallback does what compareScript does.
type compareFallback struct{}

// Decide implements resp.Fallback.
func (f *compareFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	stored := values[0]
	if stored == nil {
		return nil, answer(0), nil
	}
	err := compare(stored, binary.BigEndian.Uint64([]byte(args[2])), []byte(args[0]))
	if errors.Is(err, ErrMiss) {
		return nil, answer(0), nil
	}
	if err != nil {
		return nil, answer(-1), nil
	}
	return write(args, args[1]), answer(1), nil
}

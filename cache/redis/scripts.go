package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/resp"
)

// recordLua has cache.KindOf and the order of eight bytes at an offset, for scripts.
const recordLua = `
local function kind(b)
  local first = string.byte(b, 1)
  if not first or first < 160 or first > 175 then return 'opaque' end
  if first > 161 then return 'foreign' end
  if first ~= 161 or #b < 36 or #b < 36 + 17 * string.byte(b, 36) then return 'opaque' end
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
`

// writeLua is the common beginning of the scripts that write one record.
const writeLua = recordLua + `
local key, value, px = KEYS[1], ARGV[1], ARGV[2]
local stored = redis.call('GET', key)
`

// mergeLua is cache.Merge, and the write that it allows. It returns 1 when value replaces
// the stored one, 0 when that remains, and -1 when it conflicts.
const mergeLua = writeLua + `
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

// compareScript is cache.Compare, and the write that it allows. It returns 1 when value
// was written, 0 when the key is absent, and -1 when something else is stored.
var compareScript = resp.NewScript(writeLua+`
if not stored then return 0 end
local is = kind(stored)
if is == 'foreign' then return 0 end
if value ~= stored and (is ~= 'live' or string.sub(stored, 4, 11) ~= ARGV[3]) then return -1 end
redis.call('SET', key, value, 'PX', px)
return 1
`, true, &compareFallback{})

// run runs s on key. The last argument, the whole key, is only for a fallback.
func (r *Redis) run(ctx context.Context, s *resp.Script, key string, value []byte, ttl time.Duration, version uint64) (int64, error) {
	era, err := r.allow()
	if err != nil {
		return 0, err
	}
	full := r.Prefix + key
	reply, err := r.Client.Eval(ctx, s, []string{full}, scriptArgs(full, value, ttl, version))
	var n int64
	if err == nil {
		n, err = reply.Integer()
	}
	return n, r.done(ctx, era, err)
}

func scriptArgs(full string, value []byte, ttl time.Duration, version uint64) []string {
	px := milliseconds(ttl)
	return []string{string(value), px, string(versionBytes(version)), full}
}

// versionBytes returns a version in the form of a record.
func versionBytes(version uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, version)
}

func versionFrom(b string) uint64 {
	return binary.BigEndian.Uint64([]byte(b))
}

func write(args []string, px string) []resp.Command {
	return []resp.Command{{"SET", args[3], args[0], "PX", px}}
}

func answer(n int64) resp.Reply {
	return resp.Reply{Kind: resp.Int, Int: n}
}

// mergeFallback does the same as mergeScript.
type mergeFallback struct{}

// Decide implements resp.Fallback.
func (f *mergeFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	stored, value, px := values[0], []byte(args[0]), args[1]
	if stored == nil {
		return write(args, px), answer(1), nil
	}
	switch cache.Merge(stored, value) {
	case cache.Conflicts:
		return nil, answer(-1), nil
	case cache.Remains:
		return nil, answer(0), nil
	}
	if cache.KindOf(stored) == cache.RevokedRecord {
		px = longer(px, cache.ExpiryOf(stored)-time.Now().UnixMilli())
	}
	return write(args, px), answer(1), nil
}

// longer returns the longer of two times to live in ms.
func longer(px string, left int64) string {
	if n, err := strconv.ParseInt(px, 10, 64); err == nil && n < left {
		return strconv.FormatInt(left, 10)
	}
	return px
}

// compareFallback does the same as compareScript.
type compareFallback struct{}

// Decide implements resp.Fallback.
func (f *compareFallback) Decide(values [][]byte, args []string) ([]resp.Command, resp.Reply, error) {
	stored := values[0]
	if stored == nil {
		return nil, answer(0), nil
	}
	err := cache.Compare(stored, versionFrom(args[2]), []byte(args[0]))
	if errors.Is(err, cache.ErrMiss) {
		return nil, answer(0), nil
	}
	if err != nil {
		return nil, answer(-1), nil
	}
	return write(args, args[1]), answer(1), nil
}

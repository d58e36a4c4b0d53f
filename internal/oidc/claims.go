package oidc

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Claims are the claims of a token or of a userinfo response. Names are exact, numbers
// are [json.Number], objects map[string]any, arrays []any. Claims returned by this
// package are shared and must not be changed.
type Claims map[string]any

// Lookup finds a claim by its name. If no claim has that name, it finds one by a path
// of names, joined with dots, through nested objects. Names on the path may have dots
// too. A null is absent.
func (c Claims) Lookup(path string) (any, bool) {
	return lookup(c, path)
}

func lookup(m map[string]any, path string) (any, bool) {
	if v := m[path]; v != nil {
		return v, true
	}
	for i := strings.IndexByte(path, '.'); i >= 0; {
		if inner, ok := m[path[:i]].(map[string]any); ok {
			if v, found := lookup(inner, path[i+1:]); found {
				return v, true
			}
		}
		next := strings.IndexByte(path[i+1:], '.')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return nil, false
}

// Text returns the claim at a path if it is a string, or a number as written in the
// token. Otherwise it returns an empty string.
func (c Claims) Text(path string) string {
	v, _ := c.Lookup(path)
	if n, ok := v.(json.Number); ok {
		return string(n)
	}
	s, _ := v.(string)
	return s
}

// List returns the names in the claim at a path. Providers use several shapes:
//   - an array of strings, of numbers (as written) or of objects with a name;
//   - an object with the names as keys, where a key with the value false, null, 0 or
//     an empty value does not count;
//   - one string, which is one name and is never split.
//
// Elements of other kinds are ignored.
func (c Claims) List(path string) []string {
	v, _ := c.Lookup(path)
	if list, ok := v.([]any); ok {
		return namesIn(list)
	}
	if object, ok := v.(map[string]any); ok {
		return keysOf(object)
	}
	return appendName(nil, v)
}

func namesIn(list []any) []string {
	var names []string
	for _, one := range list {
		if object, ok := one.(map[string]any); ok {
			one = object["name"]
		}
		names = appendName(names, one)
	}
	return names
}

// keysOf returns the keys with a value that is not empty, sorted.
func keysOf(object map[string]any) []string {
	var keys []string
	for key, v := range object {
		if key != "" && !isEmpty(v) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	return keys
}

func isEmpty(v any) bool {
	if list, ok := v.([]any); ok {
		return len(list) == 0
	}
	if object, ok := v.(map[string]any); ok {
		return len(object) == 0
	}
	if n, ok := v.(json.Number); ok {
		f, err := strconv.ParseFloat(string(n), 64)
		return err == nil && f == 0
	}
	if on, ok := v.(bool); ok {
		return !on
	}
	text, isText := v.(string)
	return v == nil || isText && text == ""
}

func appendName(names []string, v any) []string {
	text, ok := v.(string)
	if n, isNumber := v.(json.Number); isNumber {
		text = string(n)
		ok = true
	}
	if !ok || text == "" {
		return names
	}
	return append(names, text)
}

// Shape describes the type of the claim at a path, and how many names [Claims.List]
// finds in it. The description contains no value of the claim and may be logged.
func (c Claims) Shape(path string) string {
	v, ok := c.Lookup(path)
	if !ok {
		return "missing"
	}
	names := len(c.List(path))
	if list, isList := v.([]any); isList {
		return fmt.Sprintf("a list of %d, %d usable", len(list), names)
	}
	if object, isObject := v.(map[string]any); isObject {
		return fmt.Sprintf("an object of %d keys, %d usable", len(object), names)
	}
	if text, isText := v.(string); isText && strings.ContainsAny(text, ", ") {
		return "one text with commas or spaces, which is one name"
	}
	if names == 0 {
		return "true or false, or an empty text"
	}
	return "one text or number"
}

// texts returns the strings in v: one string, or an array of strings only. The second
// result is false for anything else.
func texts(v any) ([]string, bool) {
	if s, ok := v.(string); ok {
		return []string{s}, true
	}
	array, ok := v.([]any)
	if !ok {
		return nil, false
	}
	list := make([]string, 0, len(array))
	for _, one := range array {
		s, isText := one.(string)
		if !isText {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// text returns a claim that is a string. The second result is false for anything else,
// also for a number.
func (c Claims) text(name string) (string, bool) {
	s, ok := c[name].(string)
	return s, ok
}

// has reports whether there is a claim of this name. A null is absent.
func (c Claims) has(name string) bool {
	return c[name] != nil
}

// mentions reports whether there is a claim of this name, even if it is null.
func (c Claims) mentions(name string) bool {
	_, ok := c[name]
	return ok
}

// Instant returns a claim that is a NumericDate. The second result is false for
// anything else.
func (c Claims) Instant(name string) (time.Time, bool) {
	return c.instant(name)
}

// lastInstant is the end of the year 9999, in seconds since 1970.
const lastInstant = 253402300799

// instant reads a NumericDate (RFC 7519, section 2), a number that may have a
// fraction. Dates before 1970 or after 9999 become that limit.
func (c Claims) instant(name string) (time.Time, bool) {
	n, ok := c[name].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, _ := strconv.ParseFloat(string(n), 64) // out of range: an infinity
	f = math.Max(0, math.Min(f, lastInstant))
	whole := math.Floor(f)
	return time.Unix(int64(whole), int64((f-whole)*1e9)), true
}

// Merge returns the claims of an ID token and of a userinfo response that came with
// it. A claim of the ID token takes precedence, because the provider signed it. Claims
// about the token, the user's identity and the sign-in are taken from the ID token
// only.
func Merge(idToken, userinfo Claims) Claims {
	return overlay(idToken, withoutProtected(userinfo))
}

// Update is Merge for a userinfo response that is newer than the ID token: the claims
// of userinfo take precedence.
func Update(idToken, userinfo Claims) Claims {
	return overlay(withoutProtected(userinfo), idToken)
}

// overlay returns the claims of first, and those of second that first has not. A claim
// of second is also left out if its name is a path to a claim of first, which it would
// hide from [Claims.Lookup]. A null is absent.
func overlay(first, second Claims) Claims {
	merged := Claims{}
	for name, v := range first {
		merged[name] = v
	}
	for name, v := range second {
		if has, _ := first.Lookup(name); has == nil {
			merged[name] = v
		}
	}
	mergeVerified(merged, first, second)
	return merged
}

// mergeVerified sets email_verified for the merged email. It takes that of the source
// of email, or that of the other source if that names no other address.
func mergeVerified(merged, first, second Claims) {
	const address, verified = "email", "email_verified"
	from, other := first, second
	if first[address] == nil {
		from, other = second, first
	}
	if from[address] == nil {
		return
	}
	flag := from[verified]
	if flag == nil && (other[address] == nil || sameText(other[address], from[address])) {
		flag = other[verified]
	}
	if flag == nil {
		delete(merged, verified)
		return
	}
	merged[verified] = flag
}

func sameText(a, b any) bool {
	x, ok := a.(string)
	y, both := b.(string)
	return ok && both && x == y
}

func withoutProtected(c Claims) Claims {
	kept := Claims{}
	for name, v := range c {
		if !isProtected(name) {
			kept[name] = v
		}
	}
	return kept
}

func isProtected(name string) bool {
	switch name {
	case "iss", "sub", "aud", "azp", "exp", "nbf", "iat", "jti", "sid", "nonce",
		"acr", "amr", "auth_time", "at_hash", "c_hash", "s_hash", "tid", "events", "typ":
		return true
	}
	return false
}

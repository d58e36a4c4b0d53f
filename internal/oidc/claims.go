package oidc

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Claims are what a token or the userinfo endpoint says. Names are exact,
// numbers are [json.Number], objects map[string]any, arrays []any. Claims that a
// function of this package returned are shared: do not change them.
type Claims map[string]any

// Lookup finds a claim by its name or, if no claim has that name, by a path of
// names joined with dots through nested objects. A name on the path may itself
// have dots.
func (c Claims) Lookup(path string) (any, bool) {
	return lookup(c, path)
}

func lookup(m map[string]any, path string) (any, bool) {
	if v, ok := m[path]; ok {
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

// Text is the claim at a path, if it is a string, or a number as it was
// written. Anything else is empty.
func (c Claims) Text(path string) string {
	v, _ := c.Lookup(path)
	if n, ok := v.(json.Number); ok {
		return string(n)
	}
	s, _ := v.(string)
	return s
}

// List is the claim at a path, if it is an array of strings or one string;
// empty strings are left out. Anything else is nil.
func (c Claims) List(path string) []string {
	v, _ := c.Lookup(path)
	list, ok := texts(v)
	if !ok {
		return nil
	}
	var kept []string
	for _, s := range list {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

// texts reads one string or an array of nothing but strings.
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

// text is a claim that must be a string; a number is none here.
func (c Claims) text(name string) (string, bool) {
	s, ok := c[name].(string)
	return s, ok
}

func (c Claims) has(name string) bool {
	_, ok := c[name]
	return ok
}

// Instant is a claim that is a NumericDate; false where it is none.
func (c Claims) Instant(name string) (time.Time, bool) {
	return c.instant(name)
}

// lastInstant is the end of the year 9999, where huge dates end up.
const lastInstant = 253402300799

// instant is a NumericDate (RFC 7519, section 2): a number that may have a
// fraction. What lies before 1970 or after 9999 is moved there.
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

// Merge adds what userinfo says to an ID token's claims. The token's own claims
// about itself, the person's identity and the sign-in are never replaced or
// added to.
func Merge(idToken, userinfo Claims) Claims {
	merged := Claims{}
	for name, v := range idToken {
		merged[name] = v
	}
	for name, v := range userinfo {
		if !isProtected(name) {
			merged[name] = v
		}
	}
	return merged
}

func withoutProtected(c Claims) Claims {
	return Merge(nil, c)
}

func isProtected(name string) bool {
	switch name {
	case "iss", "sub", "aud", "azp", "exp", "nbf", "iat", "jti", "sid", "nonce",
		"acr", "amr", "auth_time", "at_hash", "c_hash", "s_hash", "tid", "events", "typ":
		return true
	}
	return false
}

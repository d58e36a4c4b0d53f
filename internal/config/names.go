package config

import (
	"reflect"
	"sort"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/spelling"
)

// optionNames returns the names of the options of a level, as a configuration has them.
// They are the exported fields of the struct, without the collector of unknown options.
// The decoder reads the same fields, so that no list has to agree with the struct.
func optionNames(level any) []string {
	t := reflect.TypeOf(level)
	var names []string
	for i := 0; i < t.NumField(); i++ {
		if field := t.Field(i).Name; field != "Extra" {
			names = append(names, optionName(field))
		}
	}
	return names
}

// optionName returns the option of a field: OIDCEndSessionURL is oidcEndSessionURL, and
// L1TTL is l1TTL. The first word becomes lower case.
func optionName(field string) string {
	rest := strings.TrimLeft(field, capitals)
	n := len(field) - len(rest)
	if n > 1 && rest != "" && !strings.ContainsAny(rest[:1], digits) {
		n--
	}
	return strings.ToLower(field[:n]) + field[n:]
}

// variableName returns the variable of an option of redis: REDIS_ and the words of the
// option in capitals, with underscores between them. It is REDIS_TLS_CA_FILE for
// tls.caFile and REDIS_L1_TTL for l1TTL.
func variableName(option string) string {
	var name strings.Builder
	name.WriteString("REDIS_")
	last := len(option) - 1
	for i := 0; i <= last; i++ {
		c := option[i : i+1]
		switch {
		case c == ".":
			c = "_"
		case i > 0 && strings.Contains(capitals, c) && !strings.Contains(capitals+".", option[i-1:i]):
			name.WriteString("_")
		}
		name.WriteString(strings.ToUpper(c))
	}
	return name.String()
}

const (
	capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits   = "0123456789"
)

// maxUnknown bounds how many unknown options of a level are named.
const maxUnknown = 20

// unknown refuses the options of a level that are no fields of its struct. The level's
// prefix is empty or ends in a dot.
func (r *reader) unknown(prefix string, extra map[string]any, level any) {
	if len(extra) > 0 {
		r.unknownOf(prefix, extra, optionNames(level))
	}
}

// unknownOf refuses the options of a level that are not among names.
func (r *reader) unknownOf(prefix string, extra map[string]any, names []string) {
	var found []string
	for name := range extra {
		found = append(found, name)
	}
	sort.Strings(found)
	if len(found) > maxUnknown {
		found = found[:maxUnknown]
	}
	for _, name := range found {
		r.problem(prefix+brief(name), unknownFault(prefix, name, names))
	}
}

// unknownFault reports that there is no such option, with the remedy.
func unknownFault(prefix, name string, names []string) string {
	text := "there is no such option"
	hint := foreign(prefix, name)
	if hint == notInThisVersion {
		return hint
	}
	if hint == "" {
		hint = suggest(prefix, name, names)
	}
	switch {
	case hint == "":
		return text
	case strings.Contains(hint, " "):
		return text + "; " + hint
	}
	return text + "; did you mean " + hint + "?"
}

// suggest returns the option that was probably meant: a similar name of this level, or
// the same name in another level.
func suggest(prefix, name string, names []string) string {
	if near := spelling.Nearest(name, names); near != "" {
		return prefix + near
	}
	levels := []struct {
		prefix string
		names  []string
	}{
		{"", optionNames(Config{})},
		{"redis.", optionNames(RedisOptions{})},
		{"redis.tls.", optionNames(RedisTLSOptions{})},
		{"securityHeaders.", optionNames(SecurityHeadersOptions{})},
		{"dynamicClientRegistration.", optionNames(RegistrationOptions{})},
	}
	for _, l := range levels {
		for _, other := range l.names {
			if spelling.Plain(other) == spelling.Plain(name) {
				return l.prefix + other
			}
		}
	}
	return ""
}

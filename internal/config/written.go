package config

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// roundedDigits is the length of 2^53. A float64 does not hold every whole number
// beyond it.
const roundedDigits = 16

// rounded warns of digits that may be a rounded number. Traefik reads a number in a
// Kubernetes resource as a float64, and passes its digits on as a text.
func (r *reader) rounded(option, raw string) {
	if !only(raw, "0123456789") {
		return
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || f < 1<<53 || strconv.FormatFloat(f, 'f', -1, 64) != raw {
		return
	}
	r.warn(option, "a number this long is rounded where it is written without quotes in a Kubernetes resource: write it in quotes, and compare its last digits")
}

// written refuses a list in the notation of another place. A label and a text are split
// at commas and have no brackets or quotes.
func (r *reader) written(option string, raw []string) {
	if len(raw) == 0 {
		return
	}
	first := strings.TrimSpace(raw[0])
	last := strings.TrimSpace(raw[len(raw)-1])
	if first == "" || last == "" {
		return
	}
	if i := strings.IndexByte("[{(\"'`", first[0]); i >= 0 && last[len(last)-1] == "]})\"'`"[i] && enclosed(strings.Join(raw, ",")) {
		r.problem(option, "is a text with brackets or quotes around it: in a label or an environment variable write the elements alone, with commas between them, such as a,b")
		return
	}
	for _, element := range raw {
		if namePart.MatchString(element) {
			r.warn(option, "has an element that is one part of a distinguished name: a text is split at its commas; write such a name as an element of a list")
			return
		}
	}
}

// namePart matches the end of a part of a distinguished name (RFC 4514) that was split
// at its commas.
var namePart = regexp.MustCompile(`(?i)^\s*(ou|dc|o|c)=[^,=]+$`)

// enclosed reports whether the signs at both ends of s belong together, so that the
// first is not closed before the end. It includes elements that are each in quotes.
func enclosed(s string) bool {
	s = strings.TrimSpace(s)
	if len(s) < 2 {
		return false
	}
	inner := s[1 : len(s)-1]
	if strings.IndexByte("\"'`", s[0]) >= 0 {
		return true
	}
	return !strings.ContainsAny(inner, "[]{}()")
}

// lifetime reads sessionMaxAge, a number of seconds or a text; nil is the default.
func (r *reader) lifetime(raw any) time.Duration {
	const option = "sessionMaxAge"
	if raw == nil {
		return 24 * time.Hour
	}
	s, ok := scalar(raw)
	if _, isBool := raw.(bool); isBool || !ok {
		r.problem(option, "must be a number of seconds, or a duration such as 24h")
		return 24 * time.Hour
	}
	before := len(r.problems)
	d := r.duration(option, s, maxSeconds*time.Second)
	if d < time.Second && len(r.problems) == before {
		r.problem(option, "must be a duration from 1s to "+(maxSeconds*time.Second).String()+", such as 24h, or a number of seconds")
	}
	return d
}

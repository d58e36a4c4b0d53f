package config

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/spelling"
)

const (
	maxText     = 8 << 10
	maxSecret   = 64 << 10
	maxFile     = 1 << 20
	maxList     = 4096
	maxProblems = 50
)

// A reader reads options one by one and collects their problems. Every problem begins
// with the option's name in a configuration. None holds a value that may be secret.
type reader struct {
	env     Environment
	example bool // of the manifest: its published secrets are allowed
	// providers are the names and issuers that Provider in a rule may have; nil: the
	// issuer of the one provider
	providers []string
	problems  []string
	warnings  []string
}

func (r *reader) problem(option, text string) {
	r.problems = append(r.problems, option+": "+text)
}

func (r *reader) warn(option, text string) {
	r.warnings = append(r.warnings, option+": "+text)
}

// err returns all problems as one error.
func (r *reader) err() error {
	n := len(r.problems)
	switch {
	case n == 0:
		return nil
	case n == 1:
		return errors.New("config: " + r.problems[0])
	case n > maxProblems:
		more := fmt.Sprintf("; and %d more", n-maxProblems)
		return fmt.Errorf("config: %d problems: %s", n, strings.Join(r.problems[:maxProblems], "; ")+more)
	}
	return fmt.Errorf("config: %d problems: %s", n, strings.Join(r.problems, "; "))
}

// expand replaces the variables of raw.
func (r *reader) expand(option, raw string) string {
	if !strings.Contains(raw, "${") {
		return raw
	}
	s, unset := r.env.expand(raw)
	for _, name := range unset {
		r.problem(option, "the environment variable "+brief(name)+" is not set")
	}
	return s
}

// text reads a value of one line, without the spaces around it.
func (r *reader) text(option, raw string) string {
	if raw == "" {
		return ""
	}
	if len(raw) >= roundedDigits {
		r.rounded(option, raw)
	}
	return r.line(option, r.expand(option, raw))
}

func (r *reader) line(option, s string) string {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > maxText:
		r.problem(option, fmt.Sprintf("is longer than %d bytes", maxText))
		return ""
	case strings.ContainsAny(s, "\r\n\x00"):
		r.problem(option, "has a line break or a NUL in it")
		return ""
	}
	return s
}

// required reads like text, and refuses an empty value with hint.
func (r *reader) required(option, raw, hint string) string {
	before := len(r.problems)
	s := r.text(option, raw)
	if s == "" && len(r.problems) == before {
		r.problem(option, "is required: "+hint)
	}
	return s
}

// textOr reads like text; an empty value is the default.
func (r *reader) textOr(option, raw, def string) string {
	if s := r.text(option, raw); s != "" {
		return s
	}
	return def
}

// secret reads a value that no message may show. The option has the text itself, or
// `file:` and an absolute path. A line break at the end is dropped.
//
// It refuses a value that is empty after expansion, because an empty secret often means
// that none is needed. It also refuses a reference that nothing replaced, a placeholder
// and a public secret.
func (r *reader) secret(option, raw string) string {
	if raw == "" {
		return ""
	}
	before := len(r.problems)
	s := r.content(option, raw, maxSecret)
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	if len(r.problems) > before {
		return ""
	}
	switch {
	case strings.TrimSpace(s) == "":
		r.problem(option, "is empty; leave it out if none is meant")
	case len(s) > maxSecret:
		r.problem(option, fmt.Sprintf("is longer than %d bytes", maxSecret))
	case r.isPath(s):
		r.problem(option, "is the path of a file; write file: before it")
	case !r.example && isPublished(s):
		r.problem(option, "is an example that everybody can read; openssl rand -base64 32 prints a good one")
	default:
		if fault := referenceFault(s); fault != "" {
			r.problem(option, fault)
			return ""
		}
		r.warnOfEnds(option, s)
		return s
	}
	return ""
}

// warnOfEnds warns of a secret with quotes or blanks around it. They are part of the
// secret, and mostly come from a file of variables.
func (r *reader) warnOfEnds(option, s string) {
	bare := strings.Trim(s, " \t")
	switch {
	case bare != s:
		r.warn(option, "begins or ends with a blank, which is a part of it; remove the blank if it is not meant")
	case len(s) > 1 && s[0] == s[len(s)-1] && strings.ContainsAny(s[:1], `"'`):
		r.warn(option, "is in quotes, which are a part of it; remove the quotes if they are not meant")
	}
}

// optionalSecret reads a secret of an option that may be omitted; then raw is nil. An
// empty text is a problem.
func (r *reader) optionalSecret(option string, raw any) string {
	if raw == nil {
		return ""
	}
	s, ok := scalar(raw)
	if f, isFloat := raw.(float64); !ok || isFloat && (f >= 1e15 || f <= -1e15) {
		r.problem(option, "must be a text: write it in quotes")
		return ""
	}
	if s == "" {
		r.problem(option, "is empty; leave it out if none is meant, or write ${NAME} or file:/path")
		return ""
	}
	return r.secret(option, s)
}

// content expands raw, and reads the file that it names with file:.
func (r *reader) content(option, raw string, limit int64) string {
	s := r.expand(option, raw)
	if !strings.HasPrefix(s, "file:/") {
		return s
	}
	return r.file(option, strings.TrimPrefix(s, "file:"), limit)
}

func (r *reader) file(option, path string, limit int64) string {
	b, err := r.env.read(path, limit)
	if err != nil {
		r.problem(option, "the file "+brief(path)+" "+fileProblem(err))
		return ""
	}
	return string(b)
}

// list reads a list without its empty elements. An element with a variable in it is
// split at commas after expansion. It returns nil if no element is left.
func (r *reader) list(option string, raw []string) []string {
	if len(raw) > maxList {
		r.problem(option, fmt.Sprintf("has more than %d elements", maxList))
		return nil
	}
	r.written(option, raw)
	var out []string
	for _, element := range raw {
		if len(element) >= roundedDigits {
			r.rounded(option, element)
		}
		s := r.expand(option, element)
		parts := []string{s}
		if s != element {
			parts = strings.Split(s, ",")
		}
		for _, part := range parts {
			if part = r.line(option, part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// choice reads one of values, in any case. The empty value is def.
func (r *reader) choice(option, raw, def string, values []string) string {
	if raw == "" {
		return def
	}
	s := r.text(option, raw)
	if s == "" {
		return def
	}
	for _, value := range values {
		if strings.EqualFold(s, value) {
			return value
		}
	}
	text := "is none of " + strings.Join(values, ", ")
	if near := spelling.Nearest(s, values); near != "" {
		text += "; did you mean " + near + "?"
	}
	r.problem(option, text)
	return def
}

// number checks that n is between least and most.
func (r *reader) number(option string, n, least, most int) int {
	if n < least || n > most {
		r.problem(option, fmt.Sprintf("must be a number from %d to %d", least, most))
		return least
	}
	return n
}

// seconds checks a number of seconds.
func (r *reader) seconds(option string, n, least, most int) time.Duration {
	return time.Duration(r.number(option, n, least, most)) * time.Second
}

// duration reads a bare number of seconds, or a number with a unit, that is not
// negative and at most most.
func (r *reader) duration(option, raw string, most time.Duration) time.Duration {
	s := r.text(option, raw)
	if s == "" {
		return 0
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > most {
		r.problem(option, "must be a duration up to "+most.String()+": a number of seconds, or a number with one of the units ms, s, m and h, such as 250ms or 24h")
		return 0
	}
	return d
}

// A namedText is an element of a map.
type namedText struct {
	Name, Value string
}

// texts reads a map of names to single values, sorted by name.
func (r *reader) texts(option string, raw map[string]any) []namedText {
	names := make([]string, 0, len(raw))
	for name := range raw {
		names = append(names, name)
	}
	sort.Strings(names)
	if len(names) > maxList {
		r.problem(option, fmt.Sprintf("has more than %d elements", maxList))
		return nil
	}
	var out []namedText
	for _, name := range names {
		path := option + "." + brief(name)
		s, ok := scalar(raw[name])
		if !ok {
			r.problem(path, "must be a text, a number or a boolean")
			continue
		}
		out = append(out, namedText{Name: name, Value: r.text(path, s)})
	}
	return out
}

// scalar returns the text of a value that the operator wrote as a text, a number
// or a boolean.
func scalar(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case bool:
		return strconv.FormatBool(x), true
	case int:
		return strconv.Itoa(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case uint64:
		return strconv.FormatUint(x, 10), true
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), true
	}
	return "", false
}

// brief returns s in the form for a message: short and on one line.
func brief(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "..."
	}
	quoted := strconv.Quote(s)
	if quoted == `"`+s+`"` {
		return s
	}
	return quoted
}

// boolean reads a boolean that is written as a text.
func (r *reader) boolean(option, raw string) bool {
	s := strings.ToLower(r.text(option, raw))
	switch {
	case contains(truths(), s):
		return true
	case s != "" && !contains(falsehoods(), s):
		r.problem(option, "must be true or false")
	}
	return false
}

func truths() []string     { return []string{"true", "1", "yes", "on"} }
func falsehoods() []string { return []string{"false", "0", "no", "off"} }

// integer reads a whole number that is written as a text.
func (r *reader) integer(option, raw string, least, most int) int {
	n, err := strconv.Atoi(r.text(option, raw))
	if err != nil {
		n = least - 1
	}
	return r.number(option, n, least, most)
}

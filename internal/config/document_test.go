package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const notYet = "**Not in this version.**"

// A docRow is the row of an option in docs/configuration.md.
type docRow struct {
	kind, def, variable, meaning string
}

// tables returns the rows, as cells, of the tables of docs/configuration.md with that
// head of the first column.
func tables(t *testing.T, head string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	within := false
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case !strings.HasPrefix(line, "|"):
			within = false
		case strings.HasPrefix(line, "| "+head+" |"):
			within = true
		case within && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.Trim(line, "|"), " | ")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// documented reads the rows of the tables of options.
func documented(t *testing.T) map[string]docRow {
	t.Helper()
	rows := map[string]docRow{}
	for _, cells := range tables(t, "option") {
		name := strings.Trim(cells[0], "`")
		if _, twice := rows[name]; twice {
			t.Errorf("%s is documented twice", name)
		}
		switch {
		case len(cells) == 5:
			rows[name] = docRow{kind: cells[1], def: cells[2], variable: strings.Trim(cells[3], "`"), meaning: cells[4]}
		case len(cells) == 4:
			rows[name] = docRow{kind: cells[1], def: cells[2], meaning: cells[3]}
		default:
			t.Errorf("%s has %d cells", name, len(cells))
		}
	}
	return rows
}

func TestDocument(t *testing.T) {
	rows := documented(t)
	c := New()
	c.Redis = redisDefaults()
	for _, o := range options(c) {
		row, found := rows[o.name]
		delete(rows, o.name)
		if !found {
			t.Errorf("%s is not documented", o.name)
			continue
		}
		if fault := kindFault(o, row.kind); fault != "" {
			t.Errorf("%s: %s", o.name, fault)
		}
		if want := "`" + fmt.Sprint(o.value.Interface()) + "`"; hasDefault(o.value) && row.def != want {
			t.Errorf("%s has the default %s in the document, %s in the code", o.name, row.def, want)
		}
		if !hasDefault(o.value) && row.def == "" {
			t.Errorf("%s: the document says nothing of its default", o.name)
		}
		if strings.HasPrefix(o.name, "redis.") && row.variable != variableName(strings.TrimPrefix(o.name, "redis.")) {
			t.Errorf("%s has the variable %q in the document", o.name, row.variable)
		}
	}
	for name := range rows {
		t.Errorf("%s is documented and does not exist", name)
	}
}

// hasDefault reports whether the document must give the value literally.
func hasDefault(v reflect.Value) bool {
	return v.Kind() == reflect.Bool || v.Kind() == reflect.Int || !v.IsZero()
}

func kindFault(o option, kind string) string {
	var want string
	switch o.value.Kind() {
	case reflect.Bool:
		want = "boolean"
	case reflect.Int:
		want = "number"
	case reflect.Slice:
		want = "list"
	case reflect.Map:
		want = "map"
	case reflect.Interface:
		want = map[string]string{"sessionEncryptionKey": "secret, or list of secrets", "sessionMaxAge": "duration"}[o.name]
		if want == "" {
			want = "secret"
		}
	}
	if !strings.HasPrefix(kind, want) || kind == "" {
		return fmt.Sprintf("the document says %q, want %q", kind, want)
	}
	return ""
}

// typesOf returns the types that a cell of the document names: "path or URL" has two.
func typesOf(cell string) []string {
	var types []string
	for _, part := range strings.Split(strings.ReplaceAll(cell, ", ", " or "), " or ") {
		part = strings.TrimPrefix(part, "or ")
		if strings.HasPrefix(part, "list of ") {
			part = "list"
		}
		types = append(types, part)
	}
	return types
}

// Each type of an option is one of those that the document explains.
func TestDocumentedTypesAreExplained(t *testing.T) {
	known := map[string]bool{}
	for _, cells := range tables(t, "type") {
		known[cells[0]] = true
	}
	for name, row := range documented(t) {
		for _, kind := range typesOf(row.kind) {
			if !known[kind] {
				t.Errorf("%s has the type %q, which the document does not explain", name, kind)
			}
		}
	}
}

// A value that is not of the documented type is refused by the option's name. Options of
// only the type text accept it, or refuse it for another reason than its type.
func TestDocumentedTypesAreChecked(t *testing.T) {
	rows := documented(t)
	wrong := map[string]string{
		"boolean": "perhaps", "number": "many", "duration": "soon", "URL": "nowhere", "path": "nowhere",
		"path of a file": "/no/such/file", "PEM": "nothing", "secret": "<your-secret>",
	}
	typed := regexp.MustCompile(`must be (true or false|a number|a duration)`)
	alias := regexp.MustCompile("^Another name for `([^`]+)`")
	pairs := map[string]string{"redis.tls.certFile": "redis.tls.keyFile", "redis.tls.keyFile": "redis.tls.certFile"}
	for _, o := range options(New()) {
		if o.value.Kind() != reflect.String && o.value.Kind() != reflect.Interface {
			continue // Traefik's decoder refuses it
		}
		kind := typesOf(rows[o.name].kind)[0]
		value, checked := wrong[kind]
		if !checked && kind != "text" {
			t.Errorf("%s: no wrong value of the type %q is known here", o.name, kind)
		}
		if unusedFile[o.name] {
			continue
		}
		c := base()
		if !checked {
			value = "soon"
		}
		if kind == "PEM" || o.name == "clientAssertionPrivateKey" {
			c.ClientAuthMethod = "private_key_jwt"
		}
		set(t, c, o.name, value)
		if other := pairs[o.name]; other != "" {
			set(t, c, other, value)
		}
		r := &reader{env: Environment{}}
		r.settings(c)
		var problem string
		if err := r.err(); err != nil {
			problem = err.Error()
		}
		named := o.name
		if other := alias.FindStringSubmatch(rows[o.name].meaning); other != nil {
			named = other[1]
		}
		if checked && !strings.Contains(problem, named+": ") {
			t.Errorf("%s is a %s in the document and takes %q: %s", o.name, kind, value, problem)
		}
		if !checked && typed.MatchString(problem) {
			t.Errorf("%s is a text in the document, and refuses one: %s", o.name, problem)
		}
	}
}

// unusedFile has options of this version that name a file without a reader yet.
var unusedFile = map[string]bool{"dynamicClientRegistration.credentialsFile": true}

// An option with its documented default has the effect of an omitted one. Defaults in
// words are not values.
func TestDocumentedDefaultsApply(t *testing.T) {
	literal := regexp.MustCompile("^`([^`]*)`$")
	refused := map[string]bool{"audience": true} // named by another option, and not in this version
	compared := 0
	for name, row := range documented(t) {
		found := literal.FindStringSubmatch(row.def)
		if found == nil || refused[name] {
			continue
		}
		compared++
		left, written := base(), base()
		set(t, written, name, found[1])
		if a, b := past(t, left, Environment{}), past(t, written, Environment{}); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s, its default in the document, is not what applies without it", name, row.def)
		}
	}
	if compared < 80 {
		t.Errorf("only %d defaults are values", compared)
	}
}

// The options that the document lists as not there yet are exactly those that gates
// refuses.
func TestDocumentAndGates(t *testing.T) {
	rows := documented(t)
	whole := map[string]bool{}
	parts := map[string]bool{}
	for _, g := range gates(New(), &Settings{}) {
		if g.value == "" {
			whole[g.option] = true
			continue
		}
		parts[g.option] = true
		meaning := rows[g.option].meaning
		if !strings.Contains(meaning, "`"+g.value+"`") || !strings.Contains(meaning, "not in this version") {
			t.Errorf("%s: the document does not say that %s is not in this version", g.option, g.value)
		}
	}
	for name, row := range rows {
		if marked := strings.HasPrefix(row.meaning, notYet); marked != whole[name] {
			t.Errorf("%s: marked as not there yet: %v, refused: %v", name, marked, whole[name])
		}
		if strings.Contains(row.meaning, "not in this version") && !parts[name] {
			t.Errorf("%s: the document says that a value is not in this version, and none is refused", name)
		}
	}
}

// testData of the manifest is a complete, valid configuration. Its only warning is
// about its key, which is public.
func TestManifest(t *testing.T) {
	text, err := os.ReadFile("../../.traefik.yml")
	if err != nil {
		t.Fatal(err)
	}
	c := New()
	manifest, data := readManifest(t, string(text))
	for name, value := range data {
		set(t, c, name, value)
	}
	s, err := Parse(c, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Warnings) != 0 {
		t.Errorf("warnings: %v", s.Warnings)
	}
	want := map[string]string{"displayName": "OpenID Connect", "type": "middleware", "import": "github.com/traefikoidc/traefikoidc"}
	for name, value := range want {
		if manifest[name] != value {
			t.Errorf("%s is %q", name, manifest[name])
		}
	}
	if manifest["summary"] == "" || strings.Contains(string(text), "${") || strings.Contains(string(text), "file:") {
		t.Error("the manifest has no summary, or refers to its environment")
	}
}

// readManifest reads the flat YAML of a manifest: texts, and under testData texts and
// lists of texts.
func readManifest(t *testing.T, text string) (map[string]string, map[string]any) {
	t.Helper()
	manifest, data := map[string]string{}, map[string]any{}
	last := ""
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if element := strings.TrimPrefix(trimmed, "- "); element != trimmed {
			list, _ := data[last].([]string)
			data[last] = append(list, element)
			continue
		}
		name, value, found := strings.Cut(trimmed, ":")
		if !found {
			t.Fatalf("cannot read %q", line)
		}
		value = strings.TrimSpace(value)
		switch {
		case !strings.HasPrefix(line, " "):
			manifest[name] = value
		case value == "":
			last = name
		default:
			data[name] = value
		}
	}
	return manifest, data
}

package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

const notYet = "**Not in this version.**"

// A docRow is what docs/configuration.md says about an option.
type docRow struct {
	kind, def, variable, meaning string
}

// documented reads the rows of the tables of options.
func documented(t *testing.T) map[string]docRow {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]docRow{}
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		name := strings.Trim(cells[0], "`")
		if _, twice := rows[name]; twice {
			t.Errorf("%s is documented twice", name)
		}
		switch {
		case strings.HasPrefix(name, "redis.") && len(cells) == 4:
			rows[name] = docRow{kind: cells[1], def: cells[2], variable: strings.Trim(strings.TrimSuffix(cells[3], " |"), "`")}
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

// What the document calls not there yet is what gates refuses, and no more.
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

// testData of the manifest is a complete configuration, valid without a warning
// but the one about its key, which everybody knows.
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

// readManifest reads the flat YAML of a manifest: texts, and under testData texts
// and lists of texts.
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

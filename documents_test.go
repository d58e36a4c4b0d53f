package traefikoidc_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// quoted is a text in backticks.
var quoted = regexp.MustCompile("`([^`]+)`")

// endpoint is the name that begins an error of an endpoint of the provider.
var endpoint = regexp.MustCompile("^(?:token endpoint|userinfo) ")

// quotations returns the texts in backticks of the first column of a page's tables with
// that head.
func quotations(t *testing.T, page, head string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	within := false
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case !strings.HasPrefix(line, "|"):
			within = false
		case strings.HasPrefix(line, "| "+head+" |"):
			within = true
		case within:
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
			for _, found := range quoted.FindAllStringSubmatch(first, -1) {
				texts = append(texts, found[1])
			}
		}
	}
	return texts
}

// pluginText returns the text of all Go files of the plugin except its tests.
func pluginText(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "test" || path == "examples" || path == "build"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// Lines of the log and errors that a document quotes are texts of the sources, because
// an operator searches the page for the text in the log. Dots are the parts that
// differ.
func TestQuotedLinesAreInTheSources(t *testing.T) {
	text := pluginText(t)
	for _, table := range []struct {
		page, head string
		least      int
	}{
		{"redis.md", "line", 14},
		{"troubleshooting.md", "the error has", 20},
	} {
		found := quotations(t, table.page, table.head)
		if len(found) < table.least {
			t.Errorf("docs/%s quotes only %d texts in tables of %q", table.page, len(found), table.head)
		}
		for _, line := range found {
			for _, part := range strings.Split(line, "...") {
				part = endpoint.ReplaceAllString(strings.TrimSpace(part), "")
				if !strings.Contains(text, part) {
					t.Errorf("docs/%s quotes %q, which no source has", table.page, part)
				}
			}
		}
	}
}

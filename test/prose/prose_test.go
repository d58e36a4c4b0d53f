package prose

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var try = flag.String("try", "", "check these packages or pages too, separated by commas")

const root = "../.."

// folder is where the texts of Go files are written for the tools; faults.md has
// the sentences that the tools must refuse.
const folder = "build/prose"

// list returns the lines of a list beside this file.
func list(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(string(b), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// pages are all that a reader finds, by their paths in the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			all = append(all, strings.TrimPrefix(path, root+"/"))
		}
	}
	return all
}

// A complaint is one line of a tool.
type complaint struct {
	line int
	text string
}

var complaintLine = regexp.MustCompile(`^(.+?\.(?:md|go)(?:\.md)?):(\d+)(?::\d+)?:?\s+(.*)$`)

// run has a tool check files and returns its complaints by file.
func run(t *testing.T, tool string, args ...string) map[string][]complaint {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("node_modules/.bin", tool))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v; scripts/packages.sh test/prose installs it", err)
	}
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]complaint{}
	for _, line := range strings.Split(string(out), "\n") {
		if m := complaintLine.FindStringSubmatch(line); m != nil {
			path := strings.TrimPrefix(m[1], base+"/")
			number, _ := strconv.Atoi(m[2])
			all[path] = append(all[path], complaint{number, strings.TrimPrefix(m[3], "- ")})
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s found nothing, not even in faults.md: %s", tool, out)
	}
	return all
}

// A checked is a set of files with the prose of the sources.
type checked struct {
	pages    []string
	texts    map[string]*text // by the path of the Markdown
	packages map[string]*strings.Builder
}

// prepare writes the texts of the packages and the faults.
func prepare(t *testing.T) *checked {
	t.Helper()
	c := &checked{pages: pages(t), texts: map[string]*text{}, packages: map[string]*strings.Builder{}}
	dir := filepath.Join(root, folder)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	write := func(path, s string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	packages := list(t, "packages.txt")
	for _, name := range strings.Split(*try, ",") {
		if name != "" && !strings.HasSuffix(name, ".md") {
			packages = append(packages, name)
		}
	}
	for _, name := range packages {
		files, err := sources(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		c.packages[name] = &strings.Builder{}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			prose, err := proseOf(file, source)
			if err != nil {
				t.Fatal(err)
			}
			path := strings.TrimPrefix(file, root+"/") + ".md"
			write(path, prose.markdown.String())
			c.texts[filepath.Join(folder, path)] = prose
			c.packages[name].WriteString(prose.markdown.String())
		}
	}
	write("faults.md", faultsPage(t))
	return c
}

// files are all paths that a tool is given.
func (c *checked) files(texts bool) []string {
	all := append([]string{folder + "/faults.md"}, c.pages...)
	if texts {
		for path := range c.texts {
			all = append(all, path)
		}
	}
	return all
}

// report makes a tool's complaints errors of the test, but those about excused pages.
func (c *checked) report(t *testing.T, found map[string][]complaint, excused func(path, text string) bool) {
	t.Helper()
	paths := slices.Sorted(maps.Keys(found))
	for _, path := range paths {
		complaints := found[path]
		slices.SortStableFunc(complaints, func(a, b complaint) int { return a.line - b.line })
		source, isGo := c.texts[path]
		for _, one := range complaints {
			switch {
			case path == folder+"/faults.md" || excused(path, one.text):
			case isGo:
				name := strings.TrimSuffix(strings.TrimPrefix(path, folder+"/"), ".md")
				t.Errorf("%s:%d: %s", name, source.lines[one.line-1], one.text)
			default:
				t.Errorf("%s:%d: %s", path, one.line, one.text)
			}
		}
	}
}

func nothingExcused(string, string) bool { return false }

// The pages and the packages pass every rule, and every rule finds its faults.
func TestProse(t *testing.T) {
	c := prepare(t)
	unready := map[string]bool{}
	for _, path := range list(t, "pages-to-do.txt") {
		unready[path] = true
	}
	for _, path := range strings.Split(*try, ",") {
		delete(unready, path)
	}
	var form, spelling, words map[string][]complaint
	var tools sync.WaitGroup
	start := func(into *map[string][]complaint, tool string, args ...string) {
		tools.Add(1)
		go func() {
			defer tools.Done()
			*into = run(t, tool, args...)
		}()
	}
	start(&form, "markdownlint-cli2", append([]string{"--config", "test/prose/.markdownlint-cli2.yaml"}, c.files(false)...)...)
	start(&spelling, "cspell", append([]string{"--config", "test/prose/cspell.yaml", "--no-progress", "--no-summary", "--no-color"}, c.files(true)...)...)
	start(&words, "textlint", append([]string{"--config", "test/prose/.textlintrc.json", "--rulesdir", "test/prose/rules", "--format", "unix"}, c.files(true)...)...)
	tools.Wait()
	if t.Failed() {
		return
	}
	t.Run("form", func(t *testing.T) { c.report(t, form, nothingExcused) })
	t.Run("spelling", func(t *testing.T) { c.report(t, spelling, nothingExcused) })
	t.Run("links", func(t *testing.T) {
		c.report(t, words, func(_, text string) bool { return !strings.Contains(text, "/links]") })
	})
	t.Run("sentences and words", func(t *testing.T) {
		c.report(t, words, func(path, text string) bool { return unready[path] || strings.Contains(text, "/links]") })
	})
	t.Run("density of clauses", func(t *testing.T) { c.density(t, unready) })
	t.Run("every rule finds its faults", func(t *testing.T) {
		faultsFound(t, form[folder+"/faults.md"], spelling[folder+"/faults.md"], words[folder+"/faults.md"])
	})
	t.Run("pages to do", func(t *testing.T) {
		for path := range unready {
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("pages-to-do.txt: %v", err)
			}
		}
	})
}

func (c *checked) density(t *testing.T, unready map[string]bool) {
	report := func(name, markdown string) {
		if words, found := density(markdown); dense(words, found) {
			t.Errorf("%s: %d times who, what, whose or of which in %d words; fewer than 3 in 1,000 are allowed", name, found, words)
		}
	}
	for _, path := range c.pages {
		if unready[path] {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		report(path, string(b))
	}
	for name, b := range c.packages {
		report(name, b.String())
	}
}

// faults are texts that must be refused, by the rule that does.
func faults(t *testing.T) [][2]string {
	t.Helper()
	long := "The" + strings.Repeat(" word", 30) + "."
	all := [][2]string{
		{"a sentence of 31 words", long},
		{"two colons", "The options: one: two."},
		{`begins with "Who"`, "Who signs in gets a cookie."},
		{`begins with "What"`, "What is stored is sealed."},
		{`begins with "Which"`, "Users sign in. Which of them may is a rule."},
		{`begins with "Of which"`, "Of which one is valid."},
		{`begins with "whoever"`, "- whoever comes"},
		{`headless clause "of what"`, "It is a copy of what Redis has."},
		{`headless clause "and who"`, "The issuer and who signed it."},
		{`headless clause "; what"`, "It fails; what was read is lost."},
		{"leads to no file", "The [page](missing.md)."},
		{"leads to no file", `<img src="missing.png" alt="A picture.">`},
		{"no heading of the page", "The [heading](../../README.md#missing)."},
		{"no heading of the page", "The [heading](#missing)."},
		{"is no page", "The [line](../../Makefile#L1)."},
		{"out of the repository", "The [page](../../../missing.md)."},
		{"MD040", "```\ncode\n```"},
		{"MD045", "![](faults.md)"},
		{"Unknown word", "The sesion ends."},
	}
	b, err := os.ReadFile("glossary.json")
	if err != nil {
		t.Fatal(err)
	}
	var entries []struct{ But, Example, In string }
	if err := json.Unmarshal(b, &entries); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.In == "" || entry.In == "pages" {
			all = append(all, [2]string{": write " + entry.But, entry.Example})
		}
	}
	return all
}

// fine are texts that no rule may refuse.
func fine(t *testing.T) []string {
	t.Helper()
	all := []string{
		"The" + strings.Repeat(" word", 29) + ".",
		"Users who sign in get a cookie, whose name is at <https://example.com>: it has `what: is: this`.",
		"The [heading](../../README.md#license), and a [file](../../Makefile).",
		"| what is it | not |\n|---|---|\n| user | person |",
		"```yaml\nwhat: the persons sesion\n```",
	}
	b, err := os.ReadFile("glossary.json")
	if err != nil {
		t.Fatal(err)
	}
	var entries []struct{ Fine string }
	if err := json.Unmarshal(b, &entries); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Fine != "" {
			all = append(all, entry.Fine)
		}
	}
	return all
}

// faultsPage has every fault and every fine text under a heading with its number.
func faultsPage(t *testing.T) string {
	var page strings.Builder
	page.WriteString("# Faults\n")
	for i, fault := range faults(t) {
		fmt.Fprintf(&page, "\n## Fault %d\n\n%s\n", i, fault[1])
	}
	for i, text := range fine(t) {
		fmt.Fprintf(&page, "\n## Fine %d\n\n%s\n", i, text)
	}
	return page.String()
}

// faultsFound compares the complaints about the page of faults with those that are due.
func faultsFound(t *testing.T, tools ...[]complaint) {
	t.Helper()
	lines := strings.Split(faultsPage(t), "\n")
	section := func(line int) string {
		for ; line > 0; line-- {
			if heading, ok := strings.CutPrefix(lines[line-1], "## "); ok {
				return heading
			}
		}
		return ""
	}
	found := map[string][]string{}
	for _, tool := range tools {
		for _, c := range tool {
			found[section(c.line)] = append(found[section(c.line)], c.text)
		}
	}
	for i, fault := range faults(t) {
		if !strings.Contains(strings.Join(found[fmt.Sprintf("Fault %d", i)], "\n"), fault[0]) {
			t.Errorf("%q was not refused with %q: %q", fault[1], fault[0], found[fmt.Sprintf("Fault %d", i)])
		}
	}
	for i, text := range fine(t) {
		if complaints := found[fmt.Sprintf("Fine %d", i)]; len(complaints) > 0 {
			t.Errorf("%q was refused: %q", text, complaints)
		}
	}
}

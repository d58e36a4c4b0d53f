package examples

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// root is the repository's.
const root = "../.."

// A block is a fenced block of a page.
type block struct {
	page     string
	line     int // of its fence
	language string
	text     string
}

func (b block) name() string { return fmt.Sprintf("%s:%d %s", b.page, b.line, b.language) }

var fence = regexp.MustCompile("^([ \t]*)(```+)[ \t]*(.*?)[ \t]*$")

// blocksOf returns the blocks of a page of Markdown.
func blocksOf(page, markdown string) ([]block, error) {
	var all []block
	var open *block
	var indent, ticks string
	for i, line := range strings.Split(markdown, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open == nil && m != nil:
			indent, ticks = m[1], m[2]
			open = &block{page: page, line: i + 1, language: m[3]}
		case open != nil && m != nil && m[2] == ticks && m[3] == "":
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s:%d: the block has no end", page, open.line)
	}
	return all, nil
}

// blocks are those of every page.
func blocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*.md", "examples/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found, err := blocksOf(strings.TrimPrefix(path, root+"/"), string(text))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found...)
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d blocks in the pages", len(all))
	}
	return all
}

// checks prove a block, by its language. Blocks of text are not checked.
// Those of yaml and toml are in TestConfigurations, which needs Traefik.
var checks = map[string]func(block) error{
	"text":       func(block) error { return nil },
	"yaml":       isConfiguration,
	"toml":       isConfiguration,
	"sh":         checkShell,
	"console":    checkConsole,
	"json":       checkJSON,
	"go":         checkGo,
	"js":         checkJavaScript,
	"http":       checkHTTP,
	"dockerfile": checkDockerfile,
}

// Every code block of the pages parses, and its commands exist.
func TestBlocks(t *testing.T) {
	for _, b := range blocks(t) {
		t.Run(b.name(), func(t *testing.T) {
			if err := check(b); err != nil {
				t.Errorf("%s:%d: %v", b.page, b.line, err)
			}
		})
	}
}

func check(b block) error {
	f, ok := checks[b.language]
	if !ok {
		return fmt.Errorf("no check for the language %q; a block that nothing can check is text", b.language)
	}
	return f(b)
}

// Each check refuses a block with a fault.
func TestBlocksWithFaults(t *testing.T) {
	for name, markdown := range map[string]string{
		"no language":         "```\nmake test\n```",
		"unknown language":    "```ini\na = 1\n```",
		"yaml":                "```yaml\na: [\n```",
		"yaml, a key twice":   "```yaml\nredis: {}\nredis: {}\n```",
		"yaml, no kind":       "```yaml\nproviderUrl: x\nother: y\n```",
		"shell syntax":        "```sh\nif make\n```",
		"shell command":       "```sh\nmakes test\n```",
		"shell, piped":        "```sh\nmake test | greb x\n```",
		"make target":         "```sh\nmake tests\n```",
		"make target, option": "```sh\nLEVELS=native make tests\n```",
		"script":              "```sh\nscripts/missing.sh\n```",
		"redis command":       "```sh\nredis-cli SETS a b\n```",
		"redis, lower case":   "```sh\nredis-cli gets a\n```",
		"go test":             "```sh\ngo test -run TestOfNothing .\n```",
		"console":             "```console\n$ redis-cli SETS a b\nOK\n```",
		"console, no prompt":  "```console\nmake test\n```",
		"json":                "```json\n{\"a\": 1,}\n```",
		"go":                  "```go\nx := \n```",
		"js":                  "```js\nconst x = await\n```",
		"http":                "```http\nHTTP 200 OK\n```",
		"http, its JSON":      "```http\nHTTP/1.1 200 OK\nContent-Type: application/json\n\n{\n```",
		"dockerfile":          "```dockerfile\nFORM traefik:v3.7\n```",
		"indented":            "1. One:\n\n   ```sh\n   makes\n   ```",
	} {
		t.Run(name, func(t *testing.T) {
			found, err := blocksOf("page.md", markdown)
			if err != nil || len(found) != 1 {
				t.Fatalf("%d blocks, %v", len(found), err)
			}
			if err := check(found[0]); err == nil {
				t.Error("it was not refused")
			}
		})
	}
	if _, err := blocksOf("page.md", "```sh\nmake"); err == nil {
		t.Error("a block without an end was not refused")
	}
}

func checkJSON(b block) error {
	var v any
	return json.Unmarshal([]byte(b.text), &v)
}

func checkGo(b block) error {
	_, err := format.Source([]byte(b.text))
	return err
}

func checkJavaScript(b block) error {
	return quietly(exec.Command("node", "--input-type=module", "--check"), b.text)
}

// quietly runs a command with an input; its output is part of the error.
func quietly(cmd *exec.Cmd, input string) error {
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

func checkHTTP(b block) error {
	head, body, _ := strings.Cut(b.text, "\n\n")
	var header http.Header
	reader := bufio.NewReader(strings.NewReader(head + "\n\n"))
	if strings.HasPrefix(head, "HTTP/") {
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		header = res.Header
	} else {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return err
		}
		header = req.Header
	}
	if strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		return checkJSON(block{text: body})
	}
	return nil
}

var instruction = regexp.MustCompile(`^(FROM|COPY|ADD|RUN|ENV|ARG|CMD|ENTRYPOINT|WORKDIR|EXPOSE|VOLUME|USER|LABEL) \S`)

func checkDockerfile(b block) error {
	for _, line := range strings.Split(strings.ReplaceAll(b.text, "\\\n", ""), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") && !instruction.MatchString(line) {
			return fmt.Errorf("%q is not an instruction", line)
		}
	}
	return nil
}

// documents are those of a block of YAML.
func documents(text string) ([]map[string]any, error) {
	var all []map[string]any
	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var document map[string]any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, document)
	}
}

package prose

import (
	"strconv"
	"strings"
	"testing"
)

const source = `// Package a is one.
package a

//go:build linux

// size is a number,
// in bytes.
//
//	code(x)
var size = 1 // the <most>

func f(err error) error {
	log.InfoContext(ctx, "the line of a log")
	log.Info("word")
	t.Run("a subtest", nil)
	return fmt.Errorf("a: the file %q is not there: %w", name, err)
}
`

func TestProseOf(t *testing.T) {
	for path, want := range map[string]string{
		"a.go":      "1 Package a is one.|4 |6 `size` is a number,|7 in bytes.|8 |9 \tcode(x)|10 the \\<most>|13 the line of a log|16 the file `X` is not there",
		"a_test.go": "1 Package a is one.|4 |6 `size` is a number,|7 in bytes.|8 |9 \tcode(x)|10 the \\<most>|15 a subtest",
	} {
		got, err := proseOf(path, []byte(source))
		if err != nil {
			t.Fatal(err)
		}
		if s := withLines(got); s != want {
			t.Errorf("%s:\n%s, want\n%s", path, s, want)
		}
	}
}

// withLines is a text with the line of the source before each of its own. A line
// that ends a paragraph is left out.
func withLines(t *text) string {
	var all []string
	lines := strings.Split(strings.TrimSuffix(t.markdown.String(), "\n"), "\n")
	for i, line := range lines {
		if line != "" || i+1 < len(lines) && t.lines[i] != t.lines[i-1] {
			all = append(all, strconv.Itoa(t.lines[i])+" "+line)
		}
	}
	return strings.Join(all, "|")
}

func TestDensity(t *testing.T) {
	for _, c := range []struct {
		markdown string
		words    int
		found    int
	}{
		{"A user signs in.", 4, 0},
		{"Whose it is, who has it, of\nwhich one, and what.", 11, 4},
		{"It is `who`.\n\n```sh\nwhat\n```\n", 3, 0},
	} {
		if words, found := density(c.markdown); words != c.words || found != c.found {
			t.Errorf("%q has %d words and %d, want %d and %d", c.markdown, words, found, c.words, c.found)
		}
	}
	for _, c := range []struct {
		words, found int
		dense        bool
	}{{10, 1, false}, {1000, 2, false}, {1000, 3, true}, {1001, 3, false}, {100, 2, true}} {
		if dense(c.words, c.found) != c.dense {
			t.Errorf("%d of %d words: want %t", c.found, c.words, c.dense)
		}
	}
}

// Package prose checks the words of the pages and of the Go sources: spelling,
// form, links, and the rules of this project in rules and glossary.json.
package prose

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// A text is the prose of a source file as Markdown, one paragraph for each
// comment and message.
type text struct {
	markdown bytes.Buffer
	lines    []int // the line in the source of each line of markdown
}

func (t *text) line(s string, at int) {
	t.markdown.WriteString(s + "\n")
	t.lines = append(t.lines, at)
}

// paragraph appends lines of the source, the first of which is line at.
func (t *text) paragraph(lines []string, at int) {
	for i, line := range lines {
		t.line(line, at+i)
	}
	t.line("", at+len(lines)-1)
}

// A passage is a comment or a message with its place.
type passage struct {
	lines []string
	at    int
}

// proseOf returns the comments of a Go file, and the texts of its errors and log
// lines or, of a test, the names of its subtests.
func proseOf(path string, source []byte) (*text, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("prose: parse %s: %w", path, err)
	}
	names := map[string]bool{}
	var all []passage
	ast.Inspect(file, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			names[name.Name] = true
		}
		return true
	})
	for _, group := range file.Comments {
		all = append(all, comment(files, group, names))
	}
	calls := reported
	if strings.HasSuffix(path, "_test.go") {
		calls = subtests
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, place, ok := message(call, calls); ok {
				all = append(all, passage{[]string{s}, files.Position(place).Line})
			}
		}
		return true
	})
	sort.SliceStable(all, func(i, j int) bool { return all[i].at < all[j].at })
	t := &text{}
	for _, p := range all {
		t.paragraph(p.lines, p.at)
	}
	return t, nil
}

// directive is a comment for a tool, such as `//go:build`.
var directive = regexp.MustCompile(`^//[a-z]+:?[a-z]`)

// first is the name with which the comment of a declaration begins.
var first = regexp.MustCompile(`^[a-z]\w*`)

func comment(files *token.FileSet, group *ast.CommentGroup, names map[string]bool) passage {
	p := passage{at: files.Position(group.Pos()).Line}
	for _, c := range group.List {
		if directive.MatchString(c.Text) {
			p.lines = append(p.lines, "")
			continue
		}
		body := strings.TrimSuffix(strings.TrimPrefix(c.Text, "/*"), "*/")
		for _, line := range strings.Split(body, "\n") {
			line = strings.TrimPrefix(strings.TrimPrefix(line, "//"), " ")
			name := first.FindString(line)
			if len(p.lines) > 0 || !names[name] {
				name = ""
			} else {
				line, name = line[len(name):], "`"+name+"`"
			}
			p.lines = append(p.lines, name+escape(line))
		}
	}
	return p
}

// escape keeps Markdown from taking the characters of code for its own; lines
// that are indented stay code.
func escape(line string) string {
	return strings.NewReplacer("<", `\<`, "*", `\*`, "[", `\[`, "_", `\_`).Replace(line)
}

// Functions and methods by name, with the index of the argument that is a text.
// Those of reported write it for users and operators; those of subtests name a test.
var (
	reported = map[string]int{
		"New": 0, "Errorf": 0, "Debug": 0, "Info": 0, "Warn": 0, "Error": 0,
		"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
	}
	subtests = map[string]int{"Run": 0}
)

// The frame of an error, as in `pkg: the failure: %w`.
var (
	prefix = regexp.MustCompile(`^[a-z]+: `)
	cause  = regexp.MustCompile(`: %[wvs]$`)
)

var verb = regexp.MustCompile(`%[-+# 0-9.*]*[a-zA-Z]`)

// message returns the literal text of a call, if it has several words.
func message(call *ast.CallExpr, calls map[string]int) (string, token.Pos, bool) {
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", 0, false
	}
	index, ok := calls[function.Sel.Name]
	if !ok || len(call.Args) <= index {
		return "", 0, false
	}
	literal, ok := call.Args[index].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", 0, false
	}
	s, err := strconv.Unquote(literal.Value)
	if err != nil || !strings.Contains(s, " ") {
		return "", 0, false
	}
	s = cause.ReplaceAllString(prefix.ReplaceAllString(s, ""), "")
	s = strings.Join(strings.Fields(verb.ReplaceAllString(s, "`X`")), " ")
	return escape(s), literal.Pos(), true
}

// sources returns the Go files of a package's folder.
func sources(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("prose: no Go files in %s", folder)
	}
	return files, err
}

var (
	fenced  = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	code    = regexp.MustCompile("`+[^`]+`+")
	word    = regexp.MustCompile(`[\pL\pN][^\s|]*`)
	counted = regexp.MustCompile(`(?i)\b(who|what|whose|of\s+which)\b`)
)

// density counts the words of Markdown, and those that are the words of a clause
// without a noun.
func density(markdown string) (words, found int) {
	prose := code.ReplaceAllString(fenced.ReplaceAllString(markdown, ""), "X")
	return len(word.FindAllString(prose, -1)), len(counted.FindAllString(prose, -1))
}

// dense reports whether a page or a package has three or more of these in 1,000
// words. One of them is allowed in a short text.
func dense(words, found int) bool {
	return found > 1 && found*1000 >= 3*words
}

package config

import (
	"errors"
	"io"
	"os"
	"strings"
)

// An Environment is the source of variables and files for a configuration. The zero
// value has none.
type Environment struct {
	// Lookup returns the value of a variable, and whether it is set.
	Lookup func(name string) (string, bool)
	// ReadFile returns the content of a file, or an error if it is longer than limit
	// bytes.
	ReadFile func(path string, limit int64) ([]byte, error)

	record *Record // nil: nothing is recorded
}

var (
	errNoFiles    = errors.New("no files here")
	errNotRegular = errors.New("is not a regular file")
	errTooLong    = errors.New("is too long")
)

// readFile refuses a file that is not regular, because opening a pipe would wait for
// its writer.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errTooLong
	}
	return b, nil
}

// System returns the environment of the process.
func System() Environment {
	return Environment{Lookup: os.LookupEnv, ReadFile: readFile}
}

func (e Environment) lookup(name string) (string, bool) {
	value := ""
	found := false
	if e.Lookup != nil {
		value, found = e.Lookup(name)
	}
	if e.record != nil {
		e.record.variables = append(e.record.variables, recordedVariable{name: name, value: value, found: found})
	}
	return value, found
}

func (e Environment) read(path string, limit int64) ([]byte, error) {
	var content []byte
	err := errNoFiles
	if e.ReadFile != nil {
		content, err = e.ReadFile(path, limit)
	}
	if e.record != nil {
		e.record.files = append(e.record.files, recordedFile{path: path, limit: limit, content: content, err: err})
	}
	return content, err
}

// exists reports whether there is a file or a folder of that path.
func (e Environment) exists(path string) bool {
	_, err := e.read(path, 0)
	return err == nil || errors.Is(err, errTooLong) || errors.Is(err, errNotRegular) || errors.Is(err, os.ErrPermission)
}

// fileProblem returns the reason that a file could not be read. It leaves out the text
// of the operating system, which repeats the path.
func fileProblem(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "does not exist"
	case errors.Is(err, os.ErrPermission):
		return "may not be read"
	case errors.Is(err, errNotRegular) || errors.Is(err, errTooLong):
		return err.Error()
	}
	return "cannot be read"
}

const variableChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// expand replaces every ${NAME} of s by the variable's value, once, and every $${ by
// ${. Other text in braces, such as ${claims.email}, stays. It returns the names of
// unset variables.
func (e Environment) expand(s string) (string, []string) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var out strings.Builder
	var unset []string
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			out.WriteString(s)
			return out.String(), unset
		}
		if i > 0 && s[i-1] == '$' {
			out.WriteString(s[:i-1])
			out.WriteString("${")
			s = s[i+2:]
			continue
		}
		name, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed || !only(name, variableChars) {
			out.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		value, found := e.lookup(name)
		if !found {
			unset = append(unset, name)
		}
		out.WriteString(s[:i])
		out.WriteString(value)
		s = rest
	}
}

// only reports whether s is not empty and has no character outside chars.
func only(s, chars string) bool {
	return s != "" && strings.Trim(s, chars) == ""
}

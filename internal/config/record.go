package config

import "bytes"

// A Record has the variables and the files of an environment that settings depend on.
// It holds secrets. The zero value is empty.
type Record struct {
	lookup    func(name string) (string, bool)
	read      func(path string, limit int64) ([]byte, error)
	variables []recordedVariable
	files     []recordedFile
}

type recordedVariable struct {
	name  string
	value string
	found bool
}

type recordedFile struct {
	path    string
	limit   int64
	content []byte
	err     error
}

// Recorded returns e, which records in r the values that it returns.
func (e Environment) Recorded(r *Record) Environment {
	r.lookup = e.Lookup
	r.read = e.ReadFile
	e.record = r
	return e
}

// Holds reports whether the environment still has the recorded values. No variable has
// another value, and each file has the same content or cannot be read for the same
// reason.
func (r *Record) Holds() bool {
	env := Environment{Lookup: r.lookup, ReadFile: r.read}
	for _, v := range r.variables {
		value, found := env.lookup(v.name)
		if value != v.value || found != v.found {
			return false
		}
	}
	for _, f := range r.files {
		content, err := env.read(f.path, f.limit)
		if (err == nil) != (f.err == nil) || !bytes.Equal(content, f.content) {
			return false
		}
		if err != nil && fileProblem(err) != fileProblem(f.err) {
			return false
		}
	}
	return true
}

package traefikoidc_test

import (
	"go/token"
	"go/types"
	"path/filepath"
	"testing"
)

// Bounds of a type in the packages of the store.
const (
	maxMethods = 30
	maxFields  = 15
)

func TestTheStoreHasNoTypeThatDoesEverything(t *testing.T) {
	for _, s := range sources(t) {
		if s.path != "cache" && filepath.Dir(s.path) != "cache" || !s.plugin() {
			continue
		}
		for _, name := range s.pkg.Scope().Names() {
			named, ok := s.pkg.Scope().Lookup(name).Type().(*types.Named)
			if !ok || named.Obj().Name() != name {
				continue
			}
			if n := named.NumMethods(); n > maxMethods {
				t.Errorf("%s.%s has %d methods, %d are the most", s.path, name, n, maxMethods)
			}
			if st, ok := named.Underlying().(*types.Struct); ok && st.NumFields() > maxFields {
				t.Errorf("%s.%s has %d fields, %d are the most", s.path, name, st.NumFields(), maxFields)
			}
		}
	}
}

// order is that of the files of cache/hybrid: a file calls only the functions and
// methods of files before it. The parts are in hybrid.go. Every file may call it, and
// it may call every file.
var order = []string{
	"events.go", "journal.go", "worker.go", "upstream.go", "inquiry.go", "recent.go", "local.go", "hub.go", "recheck.go", "read.go", "lease.go",
	"write.go", "revoke.go", "restore.go", "reconcile.go", "refresh.go", "link.go", "pubsub.go", "transfer.go",
}

func TestTheFilesOfHybridAreInOrder(t *testing.T) {
	for _, s := range sources(t) {
		if s.path != "cache/hybrid" {
			continue
		}
		for _, f := range s.files {
			name := s.file(f.Pos())
			if name != "hybrid.go" && name != "yaegi.go" && place(name) < 0 {
				t.Errorf("%s has no place in the order of files", name)
			}
		}
		for id, o := range s.info.Uses {
			f, ok := o.(*types.Func)
			if ok && f.Pkg() == s.pkg && outOfOrder(s.file(id.Pos()), s.file(f.Pos())) {
				t.Errorf("%s: %s calls %s of %s, which comes later", s.at(id.Pos()), s.file(id.Pos()), f.Name(), s.file(f.Pos()))
			}
		}
	}
}

// outOfOrder reports whether a file must not call another one.
func outOfOrder(from, to string) bool {
	return place(from) >= 0 && place(to) > place(from)
}

// place returns the index of a file in the order, or -1.
func place(file string) int {
	for i, f := range order {
		if f == file {
			return i
		}
	}
	return -1
}

func TestACallOutOfOrderIsSeen(t *testing.T) {
	for _, row := range []struct {
		from, to string
		wrong    bool
	}{
		{"journal.go", "write.go", true}, {"write.go", "journal.go", false}, {"read.go", "read.go", false},
		{"hybrid.go", "write.go", false}, {"read.go", "hybrid.go", false}, {"yaegi.go", "write.go", false},
	} {
		if got := outOfOrder(row.from, row.to); got != row.wrong {
			t.Errorf("%s calls %s: out of order %t", row.from, row.to, got)
		}
	}
}

// file returns the name of the file of a place.
func (s *source) file(p token.Pos) string {
	return filepath.Base(s.fset.Position(p).Filename)
}

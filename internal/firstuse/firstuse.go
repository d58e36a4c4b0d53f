// Package firstuse finds what the interpreter works out while it runs code that it has
// loaded. Yaegi computes some types when a statement is first executed and keeps them
// without a lock, so two goroutines that execute it first at once are a data race. A
// race needs luck to be seen; that a type was computed late does not.
package firstuse

import (
	"fmt"
	"go/token"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
)

// An Interpreter is a Yaegi interpreter.
type Interpreter interface {
	FileSet() *token.FileSet
}

// Types are the types of an interpreter that were unknown when Of looked.
type Types struct {
	of      Interpreter
	unknown map[uintptr]bool
}

// Of notes which types i does not know yet. Call it when the sources are loaded and
// before anything of them runs.
func Of(i Interpreter) *Types {
	t := &Types{of: i, unknown: map[uintptr]bool{}}
	walk(i, func(v reflect.Value) {
		if isType(v) && !known(v) {
			t.unknown[v.Pointer()] = true
		}
	})
	return t
}

// Computed are the types that became known since, each with the place of the sources
// where it is written, if it has one.
func (t *Types) Computed() []string {
	var all []string
	walk(t.of, func(v reflect.Value) {
		if !isType(v) || !t.unknown[v.Pointer()] || !known(v) {
			return
		}
		text := v.Elem().FieldByName("str").String()
		if n := v.Elem().FieldByName("node"); !n.IsNil() {
			p := t.of.FileSet().Position(token.Pos(n.Elem().FieldByName("pos").Int()))
			text += fmt.Sprintf(" at %s:%d", filepath.Base(p.Filename), p.Line)
		}
		all = append(all, text)
	})
	sort.Strings(all)
	return all
}

func isType(v reflect.Value) bool { return v.Type().Elem().Name() == "itype" }

func known(itype reflect.Value) bool { return !itype.Elem().FieldByName("rtype").IsNil() }

// followed are the structs of the interpreter that lead to types.
var followed = map[string]bool{
	"Interpreter": true, "node": true, "itype": true, "symbol": true, "scope": true, "receiver": true, "structField": true,
}

// A plan says what there is to follow in values of one type.
type plan struct {
	on     bool  // there is something
	fields []int // in a struct
}

type walker struct {
	plans map[reflect.Type]*plan
	seen  map[uintptr]bool
	rest  []reflect.Value
}

// walk calls visit once with each pointer to one of those structs that i leads to.
func walk(i Interpreter, visit func(reflect.Value)) {
	w := &walker{plans: map[reflect.Type]*plan{}, seen: map[uintptr]bool{}, rest: []reflect.Value{reflect.ValueOf(i)}}
	for len(w.rest) > 0 {
		v := w.rest[len(w.rest)-1]
		w.rest = w.rest[:len(w.rest)-1]
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() && !w.seen[v.Pointer()] {
				w.seen[v.Pointer()] = true
				visit(v)
				w.follow(v.Elem())
			}
		case reflect.Struct:
			for _, n := range w.plan(v.Type()).fields {
				w.follow(v.Field(n))
			}
		case reflect.Slice, reflect.Array:
			for n := 0; n < v.Len(); n++ {
				w.follow(v.Index(n))
			}
		case reflect.Map:
			for m := v.MapRange(); m.Next(); {
				w.follow(m.Value())
			}
		}
	}
}

func (w *walker) follow(v reflect.Value) {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.IsValid() && w.plan(v.Type()).on && !(v.Kind() == reflect.Pointer && w.seen[v.Pointer()]) {
		w.rest = append(w.rest, v)
	}
}

func (w *walker) plan(t reflect.Type) *plan {
	if p := w.plans[t]; p != nil {
		return p
	}
	p := &plan{on: leadsOn(t)}
	w.plans[t] = p
	for n := 0; p.on && t.Kind() == reflect.Struct && n < t.NumField(); n++ {
		if f := t.Field(n).Type; f.Kind() == reflect.Interface || leadsOn(f) {
			p.fields = append(p.fields, n)
		}
	}
	return p
}

func leadsOn(t reflect.Type) bool {
	for {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		default:
			return t.Kind() == reflect.Struct && followed[t.Name()] && strings.HasSuffix(t.PkgPath(), "yaegi/interp")
		}
	}
}

// Package firstuse finds types that the interpreter computes only while code runs. Yaegi
// computes some types when a statement is first executed, and stores them without a
// lock. Two goroutines that execute it first at the same time are a data race. Such a
// race is seen by luck only, but a type that was computed late is always found.
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

// Types are the types of an interpreter that were not computed when Of was called.
type Types struct {
	of      Interpreter
	unknown map[uintptr]bool
}

// Of records the types that i has not computed. Call it after the sources are loaded and
// before their code runs.
func Of(i Interpreter) *Types {
	t := &Types{of: i, unknown: map[uintptr]bool{}}
	walk(i, func(v reflect.Value) {
		if isType(v) && !known(v) {
			t.unknown[v.Pointer()] = true
		}
	})
	return t
}

// Computed returns the types that were computed since, sorted, each with its file and
// line if it has one.
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

// followed has the structs of the interpreter that lead to types.
var followed = map[string]bool{
	"Interpreter": true, "node": true, "itype": true, "symbol": true, "scope": true, "receiver": true, "structField": true,
}

// A plan has the parts to follow in values of one type.
type plan struct {
	on     bool  // there are parts to follow
	fields []int // their numbers, in a struct
}

type walker struct {
	plans map[reflect.Type]*plan
	seen  map[uintptr]bool
	rest  []reflect.Value
}

// walk calls visit once for each pointer to a followed struct that is reached from i.
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

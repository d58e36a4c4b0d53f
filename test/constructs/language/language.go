// Package language has the constructs of the language that the plugin uses.
package language

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Table has all constructs by the names of their functions.
var Table = map[string]func(g int) string{
	"LabelledContinue": LabelledContinue, "StructCopy": StructCopy, "FieldOfSeveral": FieldOfSeveral, "MapOfSeveral": MapOfSeveral, "Closures": Closures,
	"Recover": Recover, "RecoverKeepsResult": RecoverKeepsResult, "LocalType": LocalType, "TwoWrapped": TwoWrapped, "NamedResult": NamedResult,
	"Addresses": Addresses, "InterfacesFromElements": InterfacesFromElements, "Kinds": Kinds, "SwitchOnType": SwitchOnType, "FunctionField": FunctionField,
	"MethodOfParameter": MethodOfParameter, "DeferredExpression": DeferredExpression, "Constants": Constants, "ZeroInLoop": ZeroInLoop,
	"Received": Received, "Variadic": Variadic, "ArrayKey": ArrayKey, "SliceOfSlices": SliceOfSlices, "Builder": Builder, "ErrorTable": ErrorTable,
	"Swap": Swap, "DeferredOrder": DeferredOrder,
}

// LabelledContinue skips to the next word of an outer loop.
func LabelledContinue(g int) string {
	n := 0
words:
	for _, w := range []string{"ab", "xb", "cd"} {
		for i := 0; i < len(w); i++ {
			if w[i] == 'x' {
				continue words
			}
			if w[i] == 'd' {
				break words
			}
		}
		n += g
	}
	if n != g {
		return fmt.Sprintf("counted %d, want %d", n, g)
	}
	return ""
}

type inner struct {
	n    int
	list []int
}

type outer struct {
	in   inner
	name string
	err  error
	refs map[string]*inner
}

// StructCopy changes a copy without changing the original.
func StructCopy(g int) string {
	o := &outer{in: inner{n: g}, name: "a"}
	c := *o
	c.in.n++
	c.name = "b"
	d := c.in
	d.n++
	if o.in.n != g || o.name != "a" || c.in.n != g+1 || d.n != g+2 {
		return fmt.Sprint("copies share: ", o.in.n, c.in.n, d.n)
	}
	return ""
}

func three(g int) ([]byte, int, error) {
	if g < 0 {
		return nil, 0, errNegative
	}
	return []byte{byte(g)}, g, nil
}

// FieldOfSeveral assigns one of several results to a field.
func FieldOfSeveral(g int) string {
	var o struct {
		seed []byte
		n    int
	}
	var err error
	o.seed, _, err = three(g)
	if err != nil || o.seed[0] != byte(g) {
		return "a wrong seed"
	}
	_, o.n, err = three(g + 1)
	if err != nil || o.n != g+1 {
		return "a wrong number"
	}
	return ""
}

// MapOfSeveral assigns a result to a variable before it goes into a map.
func MapOfSeveral(g int) string {
	m := map[string]int{}
	_, n, err := three(g)
	m["a"] = n
	if err != nil || m["a"] != g {
		return fmt.Sprint("the map has ", m["a"])
	}
	return ""
}

// Closures calls function literals, also in a loop, and does not start goroutines.
func Closures(g int) string {
	add := func(n int) func(int) int {
		return func(k int) int { return n + k }
	}
	sum := 0
	for i := 0; i < 4; i++ {
		sum += add(g)(i)
	}
	if sum != 4*g+6 {
		return fmt.Sprintf("got %d, want %d", sum, 4*g+6)
	}
	return ""
}

type step struct {
	failed bool
}

func (s *step) do(g int) {
	if g > 0 {
		panic("on purpose")
	}
}

func (s *step) recovered() {
	if recover() != nil {
		s.failed = true
	}
}

func (s *step) try(g int) {
	defer s.recovered()
	s.do(g)
}

// Recover recovers in a deferred method of a receiver that does not change.
func Recover(g int) string {
	s := &step{}
	s.try(g)
	if !s.failed {
		return "the panic was not seen"
	}
	return ""
}

func attempt(g int) (ok bool) {
	defer note(&ok)
	if g > 0 {
		panic("on purpose")
	}
	return true
}

func note(ok *bool) {
	if recover() != nil {
		*ok = false
	}
}

// RecoverKeepsResult recovers in a deferred function with the result as an argument.
func RecoverKeepsResult(g int) string {
	if attempt(g) || !attempt(-g) {
		return "a wrong result"
	}
	return ""
}

// LocalType sorts values of a type that is declared in the function.
func LocalType(g int) string {
	type pair struct {
		key string
		n   int
	}
	ps := []pair{{"c", g + 2}, {"a", g}, {"b", g + 1}}
	sort.Slice(ps, func(i, j int) bool { return ps[i].key < ps[j].key })
	for i, p := range ps {
		if p.n != g+i {
			return fmt.Sprint("out of order: ", ps)
		}
	}
	return ""
}

var (
	errNegative = errors.New("language: negative")
	errOuter    = errors.New("language: outer")
	errOther    = errors.New("language: other")
)

// TwoWrapped finds both of two wrapped errors.
func TwoWrapped(g int) string {
	_, _, err := three(-g)
	err = fmt.Errorf("%w: call %d: %w", errOuter, g, err)
	if !errors.Is(err, errOuter) || !errors.Is(err, errNegative) || errors.Is(err, errOther) {
		return "wrong answers about " + err.Error()
	}
	if err.Error() != fmt.Sprintf("language: outer: call %d: language: negative", g) {
		return "a wrong text: " + err.Error()
	}
	return ""
}

func named(g int) (n int, err error) {
	if g%2 == 0 {
		err = errOther
		return
	}
	n = g
	return
}

// NamedResult returns the values of named results.
func NamedResult(g int) string {
	n, err := named(2*g + 1)
	if err != nil || n != 2*g+1 {
		return "a wrong number"
	}
	if _, err = named(2 * g); !errors.Is(err, errOther) {
		return "no error"
	}
	return ""
}

// An item is identified by its kind.
type item interface {
	kind() int
}

type first struct{ n int }

func (f *first) kind() int { return f.n }

type second struct{ n int }

func (s *second) kind() int { return -s.n }

// Addresses distinguishes two values of an interface by the address of a part of them,
// never by comparing interfaces.
func Addresses(g int) string {
	a, b := &first{n: g}, &first{n: g}
	holders := map[*first]item{}
	holders[a] = a
	holders[b] = b
	delete(holders, a)
	if len(holders) != 1 || holders[b].kind() != g {
		return "the wrong one is gone"
	}
	return ""
}

// InterfacesFromElements assigns each element to a variable of its own and makes the
// interface from that.
func InterfacesFromElements(g int) string {
	elements := []*first{{n: g}, {n: g + 1}, {n: g + 2}}
	var items []item
	for k := range elements {
		e := elements[k]
		items = append(items, e)
	}
	for i, it := range items {
		if it.kind() != g+i {
			return fmt.Sprintf("item %d is %d, want %d", i, it.kind(), g+i)
		}
	}
	return ""
}

// Kinds calls methods of several types through one interface.
func Kinds(g int) string {
	items := []item{&first{n: g}, &second{n: g}}
	if items[0].kind() != g || items[1].kind() != -g {
		return "a wrong kind"
	}
	return ""
}

func describe(v any) string {
	switch x := v.(type) {
	case nil:
		return "nil"
	case string:
		return x
	case bool:
		return "bool"
	case float64, int:
		return "number"
	case []any:
		return fmt.Sprint("list of ", len(x))
	case map[string]any:
		return fmt.Sprint("object of ", len(x))
	}
	return "?"
}

// unknown executes every case once while the sources load. The interpreter computes the
// type of a case at its first execution, which is a data race between two goroutines.
var unknown = describe([]int{})

// SwitchOnType switches on types of the language.
func SwitchOnType(g int) string {
	for want, v := range map[string]any{
		"nil": nil, "text": "text", "bool": g > 0, "number": g, "list of 1": []any{g}, "object of 1": map[string]any{"a": g}, unknown: []int{g},
	} {
		if got := describe(v); got != want {
			return fmt.Sprintf("%v is %s, want %s", v, got, want)
		}
	}
	return ""
}

type clock struct {
	now func() int
}

func (c *clock) later(d int) int {
	return c.now() + d
}

// FunctionField calls a function in a field.
func FunctionField(g int) string {
	c := &clock{now: func() int { return g }}
	if c.later(2) != g+2 {
		return "a wrong time"
	}
	return ""
}

func (f *first) add(n int) int {
	return f.n + n
}

func apply(f func(int) int, n int) int {
	return f(n)
}

func bound(f *first) func(int) int {
	return f.add
}

// MethodOfParameter binds a method to a parameter, for several values.
func MethodOfParameter(g int) string {
	var fs []func(int) int
	for i := 0; i < 3; i++ {
		fs = append(fs, bound(&first{n: g + i}))
	}
	for i, f := range fs {
		if apply(f, 1) != g+i+1 {
			return fmt.Sprintf("method %d has another's receiver", i)
		}
	}
	return ""
}

func keep(to *int, n int) {
	*to = n
}

func deferred(to *int, g int) {
	defer keep(to, g+1)
	*to = 0
}

// DeferredExpression evaluates an expression as an argument at the defer statement.
func DeferredExpression(g int) string {
	var n int
	deferred(&n, g)
	if n != g+1 {
		return fmt.Sprintf("got %d, want %d", n, g+1)
	}
	return ""
}

type state byte

const (
	live state = iota
	revoked
	states
)

var names = [states]string{live: "live", revoked: "revoked"}

// Constants indexes a table by constants of a named type.
func Constants(g int) string {
	if names[state(g%2)] != []string{"live", "revoked"}[g%2] {
		return "a wrong name"
	}
	return ""
}

// ZeroInLoop declares variables in a loop; they are zero each time.
func ZeroInLoop(_ int) string {
	for i := 0; i < 3; i++ {
		var in inner
		var m map[string]int
		var b strings.Builder
		in.n++
		in.list = append(in.list, i)
		b.WriteString("x")
		if in.n != 1 || len(in.list) != 1 || m != nil || b.Len() != 1 {
			return "not empty"
		}
	}
	return ""
}

// Received receives into one variable and computes with another.
func Received(g int) string {
	c := make(chan inner, 1)
	c <- inner{n: g}
	got := <-c
	n := got
	n.n++
	if got.n != g || n.n != g+1 {
		return "shared"
	}
	return ""
}

func join(sep string, parts ...string) string {
	return strings.Join(parts, sep)
}

// Variadic passes a list on.
func Variadic(g int) string {
	parts := []string{fmt.Sprint(g), "b"}
	if join("-", parts...) != fmt.Sprintf("%d-b", g) || join("-") != "" {
		return "wrongly joined"
	}
	return ""
}

// ArrayKey finds values by arrays and structs.
func ArrayKey(g int) string {
	type place struct {
		host string
		port int
	}
	byArray := map[[2]int]int{{g, 1}: g}
	byPlace := map[place]int{{"h", g}: g}
	if byArray[[2]int{g, 1}] != g || byPlace[place{"h", g}] != g {
		return "not found"
	}
	return ""
}

// SliceOfSlices limits the capacity of a part, so that append does not write to the
// whole.
func SliceOfSlices(g int) string {
	b := make([]int, 2, 8)
	head := b[:1:1]
	head = append(head, g)
	if b[1] != 0 || head[1] != g {
		return "appended into another's memory"
	}
	return ""
}

// Builder builds a string.
func Builder(g int) string {
	var b strings.Builder
	for i := 0; i < 3; i++ {
		fmt.Fprintf(&b, "%d,", g)
	}
	if b.String() != strings.Repeat(fmt.Sprint(g)+",", 3) {
		return "a wrong text: " + b.String()
	}
	return ""
}

var statuses = []struct {
	err    error
	status int
}{
	{errNegative, 400},
	{errOther, 503},
}

// ErrorTable finds the row of a wrapped error.
func ErrorTable(g int) string {
	err := fmt.Errorf("call %d: %w", g, errOther)
	for _, row := range statuses {
		if errors.Is(err, row.err) {
			if row.status != 503 {
				return "the wrong row"
			}
			return ""
		}
	}
	return "no row"
}

// Swap swaps elements and variables.
func Swap(g int) string {
	xs := []int{g, g + 1}
	xs[0], xs[1] = xs[1], xs[0]
	a, b := xs[0], xs[1]
	a, b = b, a
	if a != g || b != g+1 {
		return "not swapped"
	}
	return ""
}

func write(b *strings.Builder, s string) {
	b.WriteString(s)
}

func inOrder(b *strings.Builder) {
	defer write(b, "c")
	defer write(b, "b")
	write(b, "a")
}

// DeferredOrder runs the last deferred call first.
func DeferredOrder(_ int) string {
	var b strings.Builder
	inOrder(&b)
	if b.String() != "abc" {
		return "in the order " + b.String()
	}
	return ""
}

// Package broken has constructs that are right when compiled and wrong when interpreted.
// A test searches the plugin's sources for them. Constructs that go wrong only under
// concurrency, or that block, are not in this package.
package broken

import (
	"encoding/json"
	"fmt"
)

// Table has all constructs by the names of their functions. The comment of each function
// describes the interpreter's error.
var Table = map[string]func(g int) string{
	"LiteralInLoop": LiteralInLoop, "CallInLoop": CallInLoop, "RangeVariable": RangeVariable, "VariableAssignedLater": VariableAssignedLater,
	"FieldAssignedLater": FieldAssignedLater, "StructChangedLater": StructChangedLater, "SamePointer": SamePointer, "InterfaceKey": InterfaceKey,
	"DeferredArgument": DeferredArgument, "DeferredReceiver": DeferredReceiver, "MethodOfField": MethodOfField, "MixedAssignment": MixedAssignment,
	"NilAmongOthers": NilAmongOthers, "MapElementOfSeveral": MapElementOfSeveral, "ReceivedThenChanged": ReceivedThenChanged,
	"NilAppended": NilAppended, "NotInMap": NotInMap, "NotInVariable": NotInVariable,
	"UnexportedField": UnexportedField, "MethodExpression": MethodExpression, "BuiltinAmongResults": BuiltinAmongResults,
	"ReceivedResult": ReceivedResult, "ComparisonAsInterface": ComparisonAsInterface, "NegationAsInterface": NegationAsInterface,
	"CallAsInterface": CallAsInterface,
}

type counter interface {
	count() int
}

type box struct {
	n    int
	next *box
}

func (b *box) count() int { return b.n }

func (b *box) add(n int) { b.n += n }

func newBox(n int) *box { return &box{n: n} }

func keep(to map[int]counter, k int, c counter) { to[k] = c }

func check(got, want any) string {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Sprintf("got %v, want %v", got, want)
	}
	return ""
}

// LiteralInLoop: every interface becomes the last literal.
func LiteralInLoop(g int) string {
	m := map[int]counter{}
	for i := 0; i < 3; i++ {
		keep(m, i, &box{n: g + i})
	}
	return check(m[0].count(), g)
}

// CallInLoop: every interface becomes the last result.
func CallInLoop(g int) string {
	var all []counter
	for i := 0; i < 3; i++ {
		all = append(all, newBox(g+i))
	}
	return check(all[0].count(), g)
}

// RangeVariable: every interface becomes the last element.
func RangeVariable(g int) string {
	var all []counter
	for _, b := range []*box{{n: g}, {n: g + 1}} {
		all = append(all, b)
	}
	return check(all[0].count(), g)
}

// VariableAssignedLater: the interface follows the variable.
func VariableAssignedLater(g int) string {
	b := newBox(g)
	var c counter = b
	b = newBox(0)
	return check(c.count()+b.n, g)
}

// FieldAssignedLater: the interface follows the field.
func FieldAssignedLater(g int) string {
	b := &box{next: newBox(g)}
	var c counter = b.next
	b.next = newBox(0)
	return check(c.count(), g)
}

// StructChangedLater: the map's element is the variable, not a copy.
func StructChangedLater(g int) string {
	b := box{n: g}
	m := map[string]any{"a": b}
	b.n++
	return check(m["a"].(box).n, g)
}

// SamePointer: interfaces made of one pointer differ.
func SamePointer(g int) string {
	b := newBox(g)
	var c, d counter = b, b
	return check(c == d, true)
}

// InterfaceKey: the key is not found by an interface made of the same pointer.
func InterfaceKey(g int) string {
	b := newBox(g)
	m := map[counter]int{b: g}
	var c counter = b
	return check(m[c], g)
}

func set(to *int, n int) { *to = n }

func deferArgument(to *int, g int) {
	defer set(to, g)
	g = 0
	set(to, g)
}

// DeferredArgument: the argument is read when the call runs.
func DeferredArgument(g int) string {
	var n int
	deferArgument(&n, g)
	return check(n, g)
}

func deferReceiver(a, b *box, g int) {
	x := a
	defer x.add(g)
	x = b
	x.n = 1
}

// DeferredReceiver: the receiver is evaluated when the call runs.
func DeferredReceiver(g int) string {
	a, b := newBox(0), newBox(0)
	deferReceiver(a, b, g)
	return check([]int{a.n, b.n}, []int{g, 1})
}

// MethodOfField: the receiver is evaluated when the method is called.
func MethodOfField(g int) string {
	b := &box{next: newBox(g)}
	f := b.next.count
	b.next = newBox(0)
	return check(f(), g)
}

// MixedAssignment: beside the result of a call, the value of the field is lost.
func MixedAssignment(g int) string {
	b := newBox(g)
	var length, n int
	length, n = len("ab"), b.n
	return check([]int{length, n}, []int{2, g})
}

// NilAmongOthers panics.
func NilAmongOthers(g int) string {
	b, n := newBox(g), 0
	b, n = nil, g
	return check(b == nil && n == g, true)
}

func two(g int) (int, error) { return g, nil }

// MapElementOfSeveral: the element is not set.
func MapElementOfSeveral(g int) string {
	m := map[string]int{}
	var err error
	m["a"], err = two(g)
	return check(m["a"], g) + check(err, nil)
}

// ReceivedThenChanged panics.
func ReceivedThenChanged(g int) string {
	c := make(chan int, 1)
	c <- g
	n := <-c
	n++
	return check(n, g+1)
}

func valueAndLength(xs []byte) (int, int) { return int(xs[0]), len(xs) }

// BuiltinAmongResults: both results are the first one.
func BuiltinAmongResults(g int) string {
	value, length := valueAndLength([]byte{byte(g), 0, 0})
	return check([]int{value, length}, []int{g, 3})
}

func receive(c chan int) int { return <-c }

// ReceivedResult panics.
func ReceivedResult(g int) string {
	c := make(chan int, 1)
	c <- g
	return check(receive(c), g)
}

func isSeven(g int) any { return g == 7 }

// ComparisonAsInterface panics.
func ComparisonAsInterface(g int) string {
	return check(isSeven(g), true)
}

func negated(g int) any { return -g }

// NegationAsInterface: the result is nil.
func NegationAsInterface(g int) string {
	return check(negated(g), -g)
}

func boxAndCounter(g int) (*box, counter) { return newBox(0), newBox(g) }

// CallAsInterface panics.
func CallAsInterface(g int) string {
	b, c := boxAndCounter(g)
	return check(b.n+c.count(), g)
}

type record struct {
	Shown  int `json:"shown"`
	hidden int
}

// UnexportedField: encoding/json writes the field.
func UnexportedField(g int) string {
	b, err := json.Marshal(record{Shown: g, hidden: g})
	return check(string(b), fmt.Sprintf(`{"shown":%d}`, g)) + check(err, nil)
}

// MethodExpression panics.
func MethodExpression(g int) string {
	f := (*box).count
	return check(f(newBox(g)), g)
}

// NilAppended panics.
func NilAppended(g int) string {
	var boxes []*box
	boxes = append(boxes, nil)
	boxes = append(boxes, newBox(g))
	return check(boxes[1].n+len(boxes), g+2)
}

func isSix(g int) bool { return g == 6 }

// NotInMap panics.
func NotInMap(g int) string {
	m := map[string]any{}
	m["x"] = !isSix(g)
	return check(m["x"], true)
}

// NotInVariable panics.
func NotInVariable(g int) string {
	var x any
	x = !isSix(g)
	return check(x, true)
}

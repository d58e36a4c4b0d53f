// Package late has two groups of constructs. For those in Late, the interpreter computes
// a type at their first execution; for those in Early, it computes all types at their
// load. The constructs depend on the order of declarations, which must be kept.
package late

import (
	"net/http"
	"strings"
	"sync"
	"text/template"
)

// Late has the constructs with a type that is computed at their first execution.
var Late = map[string]func(){
	"DeferBefore":      DeferBefore,
	"FieldBefore":      FieldBefore,
	"VariableBefore":   VariableBefore,
	"ArgumentBefore":   ArgumentBefore,
	"NativeBefore":     NativeBefore,
	"ConversionBefore": ConversionBefore,
	"TemplateBefore":   TemplateBefore,
	"UnlistedMethod":   UnlistedMethod,
	"SwitchOnSlice":    SwitchOnSlice,
	"SwitchOnPointer":  SwitchOnPointer,
	"SwitchOnMethods":  SwitchOnMethods,
	"SendLiteral":      SendLiteral,
}

// Early has the constructs with types that are all computed at their load.
var Early = map[string]func(){
	"DeferAfter":       DeferAfter,
	"DeferBasic":       DeferBasic,
	"DeferLiteral":     DeferLiteral,
	"DeferMethod":      DeferMethod,
	"DeferBuiltin":     DeferBuiltin,
	"FieldAfter":       FieldAfter,
	"VariableAfter":    VariableAfter,
	"ArgumentAfter":    ArgumentAfter,
	"NativeAfter":      NativeAfter,
	"NativeMethod":     NativeMethod,
	"NativeLiteral":    NativeLiteral,
	"ConversionAfter":  ConversionAfter,
	"TemplateAfter":    TemplateAfter,
	"ListedMethod":     ListedMethod,
	"ThroughInterface": ThroughInterface,
	"Assertions":       Assertions,
	"SwitchOnNames":    SwitchOnNames,
	"SwitchUnbound":    SwitchUnbound,
	"SendVariable":     SendVariable,
	"Literals":         Literals,
	"GoBefore":         GoBefore,
	"CallBefore":       CallBefore,
}

type box struct {
	read func(r *http.Request, names []string) error
}

func take(f func(r *http.Request, names []string) error) { _ = f(nil, nil) }

func DeferBefore() { defer deferredBelow(nil) }

func FieldBefore() {
	b := box{read: fieldBelow}
	_ = b.read(nil, nil)
}

func VariableBefore() {
	f := variableBelow
	_ = f(nil, nil)
}

func ArgumentBefore() { take(argumentBelow) }

func NativeBefore() {
	c := &http.Client{CheckRedirect: nativeBelow}
	_ = c.CheckRedirect(nil, nil)
}

func ConversionBefore() {
	h := http.HandlerFunc(conversionBelow)
	h.ServeHTTP(nil, nil)
}

func TemplateBefore() { execute(template.FuncMap{"f": templateBelow}) }

func execute(functions template.FuncMap) {
	t := template.Must(template.New("").Funcs(functions).Parse("{{f .}}"))
	_ = t.Execute(&strings.Builder{}, []string{"a"})
}

func deferredBelow(_ *http.Response)                         {}
func fieldBelow(_ *http.Request, _ []string) error           { return nil }
func variableBelow(_ *http.Request, _ []string) error        { return nil }
func argumentBelow(_ *http.Request, _ []string) error        { return nil }
func nativeBelow(_ *http.Request, _ []*http.Request) error   { return nil }
func conversionBelow(_ http.ResponseWriter, _ *http.Request) {}
func templateBelow(_ []string) string                        { return "" }

type unlisted struct{ n int }

func UnlistedMethod() { (&unlisted{}).add(nil) }

func (u *unlisted) add(_ *http.Request) { u.n++ }

func SwitchOnSlice() { onSlice([]string{"a"}) }

func onSlice(v any) int {
	switch x := v.(type) {
	case []string:
		return len(x)
	}
	return 0
}

func SwitchOnPointer() { onPointer(&http.Cookie{}) }

func onPointer(v any) string {
	switch x := v.(type) {
	case *http.Cookie:
		return x.Name
	}
	return ""
}

func SwitchOnMethods() { onMethods(1) }

func onMethods(v any) bool {
	switch x := v.(type) {
	case interface{ Foo() }:
		return x != nil
	}
	return false
}

func SendLiteral() {
	c := make(chan func(r *http.Request), 1)
	c <- func(_ *http.Request) {}
}

func deferredAbove(_ *http.Response)                         {}
func fieldAbove(_ *http.Request, _ []string) error           { return nil }
func variableAbove(_ *http.Request, _ []string) error        { return nil }
func argumentAbove(_ *http.Request, _ []string) error        { return nil }
func nativeAbove(_ *http.Request, _ []*http.Request) error   { return nil }
func conversionAbove(_ http.ResponseWriter, _ *http.Request) {}
func templateAbove(_ []string) string                        { return "" }

func DeferAfter() { defer deferredAbove(nil) }
func DeferBasic() { defer basic(1, "a") }

func basic(_ int, _ string) {}

func DeferLiteral() { defer func(_ *http.Response, _ []string) {}(nil, nil) }

func DeferMethod() {
	l := &listed{}
	defer l.add(nil, nil)
}

func DeferBuiltin() {
	c := make(chan *http.Request)
	defer close(c)
}

func FieldAfter() {
	b := box{read: fieldAbove}
	_ = b.read(nil, nil)
}

func VariableAfter() {
	f := variableAbove
	_ = f(nil, nil)
}

func ArgumentAfter() { take(argumentAbove) }

func NativeAfter() {
	c := &http.Client{CheckRedirect: nativeAbove}
	_ = c.CheckRedirect(nil, nil)
}

func NativeMethod() {
	l := &listed{}
	c := &http.Client{CheckRedirect: l.redirect}
	_ = c.CheckRedirect(nil, nil)
}

func NativeLiteral() {
	c := &http.Client{CheckRedirect: func(_ *http.Request, _ []*http.Request) error { return nil }}
	_ = c.CheckRedirect(nil, nil)
}

func ConversionAfter() {
	h := http.HandlerFunc(conversionAbove)
	h.ServeHTTP(nil, nil)
}

func TemplateAfter() { execute(template.FuncMap{"f": templateAbove}) }

type listed struct {
	mu sync.Mutex
	n  int
}

type adder interface {
	add(r *http.Request, names []string) error
}

func (l *listed) add(_ *http.Request, names []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n += len(names)
	return nil
}

func (l *listed) redirect(_ *http.Request, _ []*http.Request) error { return nil }

var _ any = (*listed)(nil)

func ListedMethod() { _ = (&listed{}).add(nil, nil) }

func ThroughInterface() { through(&listed{}) }

func through(a adder) { _ = a.add(nil, nil) }

func Assertions() { asserted([]string{"a"}) }

func asserted(v any) int {
	if c, ok := v.(*http.Cookie); ok {
		return len(c.Name)
	}
	if m, ok := v.(map[string]*http.Cookie); ok {
		return len(m)
	}
	if names, ok := v.([]string); ok {
		return len(names)
	}
	return 0
}

func SwitchOnNames() { onNames(http.Header{}) }

func onNames(v any) int {
	switch x := v.(type) {
	case nil:
		return 0
	case string:
		return len(x)
	case error:
		return 0
	case http.Header:
		return len(x)
	}
	return 0
}

func SwitchUnbound() { unbound([]string{"a"}) }

func unbound(v any) int {
	switch v.(type) {
	case *http.Cookie:
		return 1
	case []string:
		return 2
	}
	return 0
}

func SendVariable() {
	c := make(chan func(r *http.Request), 1)
	f := func(_ *http.Request) {}
	c <- f
}

func Literals() {
	f := func(_ *http.Request, _ []string) error { return nil }
	take(f)
	take(func(_ *http.Request, _ []string) error { return nil })
	b := box{read: func(_ *http.Request, _ []string) error { return nil }}
	_ = b.read(nil, nil)
}

func GoBefore() {
	c := make(chan struct{})
	go started(c, nil)
	<-c
}

func started(c chan struct{}, _ []*http.Request) { close(c) }

func CallBefore() { _ = called(nil, nil) }

func called(_ *http.Request, _ []string) map[string][]*http.Request { return nil }

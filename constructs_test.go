package traefikoidc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"regexp"
	"strings"
	"testing"
)

// A rule is a construct that the plugin's sources must not contain, because the
// interpreter runs it wrongly or not at all. The table has examples that each rule must
// find, and others that it must not. A rule that finds none of its examples fails.
type rule struct {
	name  string
	check func(c *code, n ast.Node) string // returns the problem of n, or ""
	bad   []string                         // files without their package clause; a first line "// in PATH" puts them into that package
	good  []string
}

// outOfBounds are the sources that may be longer than the bounds, each with the reason.
var outOfBounds = map[string]string{
	"internal/config/unsupported.go gates": "a table, a row for each option that is still to come",
}

const (
	maxFunctionLines = 60
	maxFileLines     = 400
)

// interpreted are the packages that Yaegi v0.16.1 knows, without those that the plugin
// must not use.
const interpreted = `archive/tar archive/zip bufio bytes compress/bzip2 compress/flate compress/gzip compress/lzw compress/zlib
container/heap container/list container/ring context crypto crypto/aes crypto/cipher crypto/ecdh crypto/ecdsa crypto/ed25519
crypto/elliptic crypto/hmac crypto/md5 crypto/rand crypto/rsa crypto/sha1 crypto/sha256 crypto/sha512 crypto/subtle crypto/tls
crypto/x509 crypto/x509/pkix encoding encoding/asn1 encoding/base32 encoding/base64 encoding/binary encoding/csv encoding/hex
encoding/json encoding/pem encoding/xml errors expvar fmt go/ast go/parser go/scanner go/token hash hash/adler32 hash/crc32 hash/crc64 hash/fnv hash/maphash html
html/template io io/fs log log/slog math math/big math/bits math/rand mime mime/multipart mime/quotedprintable net net/http
net/http/cookiejar net/http/httptrace net/http/httputil net/mail net/netip net/textproto net/url os path path/filepath reflect
regexp regexp/syntax runtime runtime/debug runtime/metrics sort strconv strings sync sync/atomic text/tabwriter text/template
text/template/parse time unicode unicode/utf16 unicode/utf8`

var rules = []rule{
	{"select", isSelect,
		[]string{`func f(c chan int) { select { case <-c: default: } }`},
		[]string{`func f(c chan int) int { n := <-c; return n }`}},
	{"generics", isGeneric,
		[]string{`func f[T any](t T) {}`, `type s[T any] struct{ t T }`, `import "sync/atomic"; var p atomic.Pointer[int]`,
			`import "sort"; func g[T any](t T) {}; func f() { g(1); sort.Ints(nil) }`},
		[]string{`import "sync/atomic"; var p atomic.Int64`, `func f(xs []int) int { return xs[0] }`}},
	{"go statements", isGo,
		[]string{`func g() {}; func f() { go g() }`, `func f() { go func() {}() }`,
			"// in internal/background\ntype t struct{}; func (t *t) run() {}; func f(x *t) { go x.run() }",
			"// in internal/background\nfunc f() { go func() {}() }", "// in internal/background\nfunc f(g func()) { go g() }"},
		[]string{"// in internal/background\nfunc g(i int) {}; func f() { go g(1) }"}},
	{"timers and contexts that start goroutines", isStarter,
		[]string{`import "time"; func f(g func()) { time.AfterFunc(0, g) }`, `import "context"; var f = context.AfterFunc`},
		[]string{`import "time"; func f() { time.NewTimer(0) }`, "// in internal/background\nimport \"time\"; func f(g func()) { time.AfterFunc(0, g) }"}},
	{"pauses", isOwnPause,
		[]string{`import "context"; func f(ctx context.Context) { timed, cancel := context.WithTimeout(ctx, 1); <-timed.Done(); cancel() }`,
			`import "context"; func f(ctx context.Context) { for { timed, cancel := context.WithTimeout(ctx, 1); defer cancel(); <-timed.Done() } }`,
			`import "time"; func f() { time.Sleep(1) }`},
		[]string{"// in internal/background\nimport \"context\"; func f(ctx context.Context) { timed, cancel := context.WithTimeout(ctx, 1); <-timed.Done(); cancel() }",
			`import "context"; func f(ctx context.Context, g func(context.CancelFunc)) { timed, cancel := context.WithTimeout(ctx, 1); g(cancel); <-timed.Done() }`,
			`import "context"; func f(ctx context.Context) { <-ctx.Done() }`}},
	{"what does not load or is shared", isForbidden,
		[]string{`import "context"; var f = context.WithValue`, `import "sync"; var p sync.Pool`, `import "sync"; var f = sync.OnceFunc(nil)`,
			`func f() int { return min(1, 2) }`, `func f() int { return max(1, 2) }`, `func f(m map[int]int) { clear(m) }`},
		[]string{"// in internal/chain\nimport \"context\"; var f = context.WithValue", `import "sync"; var o sync.Once`, `func min(a, b int) int { return a }; var x = min(1, 2)`, `import "context"; var f = context.WithCancel`}},
	{"imports", isForeignImport,
		[]string{`import "slices"`, `import _ "embed"`, `import "unsafe"`, `import "syscall"`, `import "testing"`, `import "crypto/hkdf"`, `import "math/rand/v2"`, `import "net/http/httptest"`},
		[]string{`import "sort"`, `import "crypto/hmac"`, `import "github.com/traefikoidc/traefikoidc/cache"`, `import "container/list"`}},
	{"range", isOddRange,
		[]string{`func f() { for range 3 { } }`, `func f(s string) { for range s { } }`, `type s string; func f(x s) { for _, r := range x { _ = r } }`,
			`func f(g func(func(int) bool)) { for range g { } }`},
		[]string{`func f(s []byte) { for range s { } }`, `func f(m map[int]int, c chan int) { for range m { }; for range c { } }`}},
	{"deferred calls read late", isLateDefer,
		[]string{`type t struct{}; func (t *t) end() {}; func f(x *t) { defer x.end(); x = nil }`,
			`type t struct{}; func (t *t) end() {}; func f(xs []*t) { for _, x := range xs { defer x.end() } }`,
			`type t struct{}; func (t *t) end() {}; type b struct{ t *t }; func f(x *b) { defer x.t.end(); x.t = nil }`,
			`func end(int) {}; func f(k int) { defer end(k); k = 0 }`, `func end(int) {}; func f() { for i := 0; i < 3; i++ { defer end(i) } }`,
			`type b struct{ n int }; func end(int) {}; func f(x *b) { defer end(x.n); x.n++ }`,
			`func f(k int) { defer func(int) {}(k); k = 0 }`, `type t struct{}; func (t *t) end() {}; func f() { x := &t{}; defer x.end(); func() { x = nil }() }`},
		[]string{`import "sync"; type t struct{ mu sync.Mutex; n int }; func f(x *t) { defer x.mu.Unlock(); x.n++ }`,
			`type t struct{}; func (t *t) end() {}; func f() { var x *t; x = &t{}; defer x.end() }`, `func end(*int) {}; func f(k int) { defer end(&k); k = 0 }`,
			`func end(int) {}; func f(k int) { defer end(k + 1); k = 0 }`}},
	{"deferred calls of a literal in a variable", isDeferredVariable,
		[]string{`func f() { g := func() {}; defer g() }`, `func f() { var g func(); g = func() {}; defer func() { g() }() }`},
		[]string{`func f(g func()) { defer g() }`, `func f() { defer func() {}() }`, `func f() { g := func() {}; g() }`,
			`import "context"; func f() { _, cancel := context.WithCancel(nil); defer cancel() }`}},
	{"method values", isLooseMethod,
		[]string{`type t struct{}; func (t *t) do() {}; func f(x *t) func() { g := x.do; x = nil; return g }`,
			`type t struct{}; func (t *t) do() {}; func f(xs []*t) (fs []func()) { for _, x := range xs { fs = append(fs, x.do) }; return }`,
			`type t struct{}; func (t *t) do() {}; type b struct{ t *t }; func f(x *b) func() { return x.t.do }; func g(x *b) { x.t = nil }`,
			`type t struct{}; func (t *t) do() {}; var f = (*t).do`},
		[]string{`type t struct{}; func (t *t) do() {}; func f(x *t) func() { return x.do }`, `type t struct{}; func (t *t) do() {}; func f(x *t) { x.do(); x = nil; (x.do)() }`,
			`type t struct{}; func (t *t) do() {}; func f() func() { x := &t{}; return x.do }`}},
	{"literals in a loop", isLoopLiteral,
		[]string{`func f() (fs []func() int) { for i := 0; i < 3; i++ { fs = append(fs, func() int { return i }) }; return }`,
			`func f(xs []int) (fs []func() int) { for _, x := range xs { k := x; fs = append(fs, func() int { return k }) }; return }`},
		[]string{`func f(xs []int, n int) (fs []func() int) { for range xs { fs = append(fs, func() int { return n }) }; return }`,
			`func f(xs []int) { for range xs { func() { k := 1; for k < 3 { k++ } }() } }`}},
	{"received variables", isReceivedChanged,
		[]string{`func f(c chan int) { x := <-c; x = 1 }`, `func f(c chan int) { var x int; x = <-c; x++ }`, `type t struct{ n int }; func f(c chan t) { x := <-c; x.n = 1 }`,
			`func f(c chan []int) { x := <-c; x = append(x, 1) }`, `type t struct{ n int }; func f(c chan t) *t { x := <-c; return &x }`,
			`type t struct{ n int }; func (t *t) add() {}; func f(c chan t) { x := <-c; x.add() }`, `func f(c chan [2]int) { x := <-c; x[0] = 1 }`},
		[]string{`func f(c chan int) int { y := <-c; x := y; x++; return x }`, `func f(c chan int) { x := <-c; x = <-c; _ = x }`, `type t struct{ n int }; func f(c chan *t) { x := <-c; x.n = 1 }`,
			`func f(c chan int) { x, ok := <-c; x++; _ = ok }`, `func f(c chan []int) { x := <-c; x[0] = 1 }`}},
	{"interfaces that follow a variable", isFollowed,
		[]string{`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func f() i { x := &t{}; var y i = x; x = nil; return y }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func keep(i) {}; func f(xs []*t) { for _, x := range xs { keep(x) } }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func f(xs []*t) (is []i) { for _, x := range xs { is = append(is, x) }; return }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func f(m map[int]*t) (is []i) { for k := 0; k < 3; k++ { if x, ok := m[k]; ok { is = append(is, x) } }; return }`,
			`type t struct{ n int }; func f(x t) map[string]any { m := map[string]any{"a": x}; x.n++; return m }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; type b struct{ t *t }; func keep(i) {}; func f(x *b) { keep(x.t) }; func g(x *b) { x.t = nil }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func keep(i) {}; func f(xs []*t) { keep(xs[0]) }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func keep(i) {}; func f() { for { keep(&t{}) } }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func g() *t { return nil }; func f() (is []i) { for { is = append(is, g()) } }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func f(m map[int]i) { for k := range m { m[k] = &t{} } }`},
		[]string{`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func keep(i) {}; func f() { x := &t{}; keep(x); keep(&t{}) }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func keep(i) {}; func f(xs []*t) { for k := range xs { x := xs[k]; keep(x) } }`,
			`type i interface{ do() }; func keep(i) {}; func f(xs []i) { for _, x := range xs { keep(x) } }`,
			`import "container/list"; type t struct{}; func f(l *list.List, xs []*t) { for _, x := range xs { l.PushBack(x) } }`}},
	{"parallel assignments", isMixedAssignment,
		[]string{`func g() int { return 1 }; func f(a, b int) { a, b = g(), a }`, `func f(t struct{ n int }) { a, b := []int{1}, t.n; _, _ = a, b }`,
			`func f(x *int, n int) { x, n = nil, 1 }`, `func f(xs []int, n int) { xs, n = append(xs, n), n }`, `func f(c chan int) { a, b := <-c, 1; _, _ = a, b }`,
			`func g() (int, error) { return 1, nil }; func f(m map[int]int) { var err error; m[1], err = g(); _ = err }`,
			`func f(m, o map[int]int) { var ok bool; m[1], ok = o[1]; _ = ok }`, `func f(t *struct{ n int }) { for t.n = range []int{1} { } }`},
		[]string{`func f(a, b int) { a, b = b, a }`, `func g() int { return 1 }; func f() { a, b := g(), g(); a, b = g(), g(); _, _ = a, b }`,
			`func g() (int, error) { return 1, nil }; func f(t *struct{ n int }) { var err error; t.n, err = g(); _ = err }`,
			`func f(a int64, b int) { a, b = int64(b), b }`, `func f(xs []int, t struct{ n int }) { a, b := xs[0], t.n+1; _, _ = a, b }`}},
	{"nil appended", isNilAppended,
		[]string{`func f(xs []*int) []*int { return append(xs, nil) }`, `func f(xs []error, err error) []error { return append(xs, err, nil) }`},
		[]string{`func f(xs []*int) []*int { var none *int; return append(xs, none) }`, `func f(xs []int) []int { return append(xs, xs...) }`, `func f() []int { return append([]int(nil), 1) }`}},
	{"a negation as an interface", isNegatedInterface,
		[]string{`func f(m map[string]any, b bool) { m["x"] = !b }`, `func f(b bool) any { var x any; x = !b; return x }`, `func f(b bool) any { var x any = !b; return x }`},
		[]string{`func f(m map[string]any, b bool) { x := !b; m["x"] = x }`, `func f(m map[string]bool, b bool) { m["x"] = !b }`, `func f(m map[string]any, n int) { m["x"] = -n }`}},
	{"results that go astray", isStrayResult,
		[]string{`func f(b, s []byte) (int, int) { return int(b[0]), len(s) }`, `func f(xs []int) (int, []int) { return 1, append(xs, 1) }`, `func f() (error, map[int]int) { return nil, make(map[int]int) }`,
			`func f(xs []int) (int, int, int) { return 1, 2, (cap(xs)) }`, `type t struct{}; func f() (bool, *t) { return true, new(t) }`,
			`func f(c chan int) int { return <-c }`, `func f(c chan int) (int, error) { return <-c, nil }`,
			`func f(n int) any { return n == 1 }`, `func f(n int) (bool, any) { return true, -n }`, `var f = func(b bool) any { return !b }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func g() *t { return nil }; func f() (*t, i) { return g(), g() }`},
		[]string{`func f(xs []int) ([]int, int) { return append(xs, 1), 2 }`, `func f(xs []int) (int, bool) { return 1, len(xs) == 1 }`, `func f(xs []int) (int, int64) { return 1, int64(len(xs)) }`,
			`func f(c chan int) int { n := <-c; return n }`, `func f(n int) (bool, error) { return n == 1, nil }`, `func f(n int) any { return n + 1 }`, `func f() any { return 1 == 2 }`,
			`func f(xs []int) []any { g := func() (int, bool) { return 1, !true }; g(); return nil }`,
			`type i interface{ do() }; type t struct{}; func (t *t) do() {}; func g() *t { return nil }; func f() (int, i) { return 1, g() }`}},
	{"cases that are half read", isHalfReadCase,
		[]string{`func f(a, b bool) { switch { case a, b: } }`, `func f(v any) { switch v.(type) { case int, string: } }`},
		[]string{`func f(a, b bool) { switch { case a || b: } }`, `func f(n int) { switch n { case 1, 2: } }`,
			`func f(v any) int { switch x := v.(type) { case int: return x }; return 0 }`}},
	{"functions that are computed at their first use", isLateFunction,
		[]string{`func f() { defer end(nil) }; func end(xs []string) {}`, `type b struct{ g func(int) }; func f() b { return b{g: end} }; func end(n int) {}`,
			`import "net/http"; var c = &http.Client{CheckRedirect: refuse}; func refuse(r *http.Request, via []*http.Request) error { return nil }`,
			`func f(g func(n int)) { f(end) }; func end(n int) {}`, `func f(c chan func()) { c <- func() {} }`},
		[]string{`func end(xs []string) {}; func f() { defer end(nil) }`, `type b struct{ g func(int) }; func end(n int) {}; func f() b { return b{g: end} }`,
			`func f() { end(1) }; func end(n int) {}`, `func f() { defer end() }; func end() {}`, `import "strings"; func f() func(string) string { return strings.ToUpper }`,
			"// in internal/background\nfunc f() { go end(1) }; func end(n int) {}"}},
	{"type switches that compute types at their first use", isLateSwitch,
		[]string{`func f(v any) { switch x := v.(type) { case []string: _ = x } }`, `import "time"; func f(v any) { switch x := v.(type) { case string, *time.Time: _ = x } }`,
			`func f(v any) { switch x := v.(type) { case interface{ Foo() }: _ = x } }`},
		[]string{`func f(v any) { switch v.(type) { case []string: } }`, `import "time"; func f(v any) { switch x := v.(type) { case nil: case string: _ = x; case time.Time: case error: } }`,
			`func f(v any) { if x, ok := v.([]string); ok { _ = x } }`}},
	{"shared interfaces of ours given to the standard library", isInterfaceGiven,
		[]string{`import "fmt"; type i interface{ do() }; type b struct{ x i }; func f(v *b) string { return fmt.Sprint(v.x) }`,
			`import "sync/atomic"; type i interface{ do() }; var x i; func f(v *atomic.Value) { v.Store(x) }`,
			`import "fmt"; type i interface{ do() }; func f(xs []i) string { return fmt.Sprint(xs[0]) }`},
		[]string{`import "fmt"; func f(err error) string { return fmt.Sprint(err) }`, `import "fmt"; type i interface{ do() }; func f(x i) string { return fmt.Sprint(x) }`, `type i interface{ do() }; func g(i) {}; func f(x i) { g(x) }`,
			`import ("io"; "fmt"); func f(w io.Writer) { fmt.Fprint(w, 1) }`}},
	{"methods called on a struct that others have", isSharedReceiver,
		[]string{`type l struct{ n int }; func (x *l) add() { x.n++ }; type b struct{ l l }; func f(x *b) { x.l.add() }`,
			`type l struct{ n int }; func (x *l) add() { x.n++ }; var x l; func f() { defer x.add() }`,
			`type l struct{ n int }; func (x *l) add() { x.n++ }; func f(xs []l) { xs[0].add() }`},
		[]string{`type l struct{ n int }; func (x *l) add() { x.n++ }; type b struct{ l *l }; func f(x *b) { x.l.add() }`,
			`type l struct{ n int }; func (x *l) add() { x.n++ }; func f() { var x l; x.add() }`,
			`type l struct{ n int }; func (x l) get() int { return x.n }; type b struct{ l l }; func f(x *b) int { return x.l.get() }`,
			`import "sync"; type b struct{ mu sync.Mutex }; func f(x *b) { x.mu.Lock() }`}},
	{"named results", isNamedResult,
		[]string{`func f(n int) (xs []int) { return append(xs, n) }`, `func f() (n int, err error) { return 1, nil }`, `var f = func() (n int) { return 1 }`},
		[]string{`func f(n int) []int { return []int{n} }`, `func f() (int, error) { return 1, nil }`}},
	{"comparing interfaces of ours", isInterfaceCompare,
		[]string{`type i interface{ do() }; func f(a, b i) bool { return a == b }`, `type t struct{}; func f(a any, b *t) bool { return a != b }`,
			`type i interface{ do() }; var m map[i]bool`},
		[]string{`type i interface{ do() }; func f(a i) bool { return a == nil }`, `func f(a, b error) bool { return a == b }`, `type t struct{}; func f(a, b *t) bool { return a == b }`,
			`func f(a any) bool { return a == "x" }`}},
	{"errors of a type of ours", isErrorType,
		[]string{`import "errors"; type e interface{ no() }; func f(err error) bool { var x e; return errors.As(err, &x) }`,
			`import "errors"; type e struct{}; func (e) Error() string { return "" }; func f(err error) bool { var x *e; return errors.As(err, &x) }`,
			`import "errors"; func f(err error) bool { var x interface{ Timeout() bool }; return errors.As(err, &x) }`,
			`type e interface{ no() }; func f(err error) bool { _, ok := err.(e); return ok }`, `type e interface{ no() }; func f(err error) { switch err.(type) { case e: } }`},
		[]string{`import ("errors"; "net"); func f(err error) bool { var x net.Error; return errors.As(err, &x) }`,
			`import ("errors"; "net"); func f(err error) bool { var x *net.OpError; return errors.As(err, &x) }`, `import "net"; func f(err error) bool { _, ok := err.(net.Error); return ok }`}},
	{"methods that nobody calls", isUnseenMethod,
		[]string{`type t struct{}; func (t t) String() string { return "" }`, `type t struct{}; func (t *t) MarshalJSON() ([]byte, error) { return nil, nil }`,
			`type t struct{}; func (t *t) Unwrap() error { return nil }`, `type t struct{}; func (t *t) Error() string { return "" }`},
		[]string{`type t struct{}; func (t t) Text() string { return "" }`, `func String() string { return "" }`}},
	{"unexported fields in JSON", isLeakedField,
		[]string{"type t struct { A int `json:\"a\"`; b int }"},
		[]string{"type t struct { A int `json:\"a\"`; B int }", `type t struct { A int; b int }`}},
	{"embedded fields", isEmbedded,
		[]string{`import "sync"; type t struct{ sync.Mutex }`, `type a struct{}; type t struct{ *a }`, `func f() { _ = struct{ error }{} }`},
		[]string{`import "sync"; type t struct{ mu sync.Mutex }`, `import "io"; type t interface{ io.Reader }`}},
	{"unnamed parameters of methods", isUnnamed,
		[]string{`type t struct{}; func (t *t) do(int) {}`, `type t struct{}; func (t *t) do(int, string) {}`},
		[]string{`type t struct{}; func (t *t) do(_ int) {}`, `func do(int) {}`, `type t struct{}; func (t *t) do(f func(int)) {}`}},
	{"values of ours in fields of the standard library", isForeignField,
		[]string{`import "net/http"; type rt struct{ http.RoundTripper }; var c = &http.Client{Transport: rt{}}`,
			`import "net/http"; type h struct{}; func (h *h) ServeHTTP(w http.ResponseWriter, r *http.Request) {}; func f(x *h) http.Server { return http.Server{Handler: x} }`},
		[]string{`import "net/http"; var c = &http.Client{Transport: &http.Transport{}}`, `import "net/http"; func f(rt http.RoundTripper) *http.Client { return &http.Client{Transport: rt} }`}},
	{"recovered values", isRecoveredUse,
		[]string{`func f() { if r := recover(); r != nil { panic(r) } }`, `func f() bool { r := recover(); return r == "x" }`, `func f() error { r := recover(); return r.(error) }`,
			`func f() { panic(recover()) }`, `func f() any { return recover() }`, `func f() { switch recover().(type) { case error: } }`},
		[]string{`func f() { _ = recover() }`, `func f() bool { return recover() != nil }`, `func f() { if r := recover(); r != nil { println("panicked") } }`, `func f() { recover() }`}},
	{"long functions and files", isLong,
		[]string{"func f() {\n" + strings.Repeat("\tg()\n", maxFunctionLines) + "}\nfunc g() {}", strings.Repeat("\n", maxFileLines) + "func f() {}"},
		[]string{"func f() {\n" + strings.Repeat("\tg()\n", maxFunctionLines-2) + "}\nfunc g() {}"}},
}

func TestConstructsThatTheInterpreterRuns(t *testing.T) {
	for _, s := range sources(t) {
		if !s.plugin() {
			continue
		}
		for _, err := range s.trouble {
			t.Errorf("%s: does not compile: %v", s.path, err)
		}
		for _, f := range read(s).findings(rules) {
			t.Errorf("%s: %s: %s", s.at(f.pos), f.rule, f.text)
		}
	}
}

func TestEveryRuleFindsWhatItIsFor(t *testing.T) {
	std, err := compiled(snippetImports())
	if err != nil {
		t.Fatal(err)
	}
	from := &checker{byPath: map[string]*source{full("cache"): {path: "cache", pkg: types.NewPackage(full("cache"), "cache")}}, std: std}
	for _, r := range rules {
		for _, b := range r.bad {
			if len(read(snippet(t, b, from)).findings([]rule{r})) == 0 {
				t.Errorf("%s: not found in\n%s", r.name, b)
			}
		}
		for _, g := range r.good {
			for _, f := range read(snippet(t, g, from)).findings([]rule{r}) {
				t.Errorf("%s: found %q in\n%s", r.name, f.text, g)
			}
		}
	}
}

// full returns the import path of a package below the module.
func full(p string) string { return path.Join(module, p) }

// snippetImports returns the packages of the standard library that the snippets import.
func snippetImports() map[string]bool {
	quoted := regexp.MustCompile(`"([a-z/0-9]+)"`)
	found := map[string]bool{}
	for _, r := range rules {
		for _, text := range append(append([]string(nil), r.bad...), r.good...) {
			if _, after, ok := strings.Cut(text, "import "); ok {
				for _, m := range quoted.FindAllStringSubmatch(strings.SplitN(after, "func", 2)[0], -1) {
					found[m[1]] = isStandard(m[1])
				}
			}
		}
	}
	return found
}

func isStandard(p string) bool {
	return contains(strings.Fields(interpreted+" slices embed unsafe syscall testing crypto/hkdf math/rand/v2 net/http/httptest"), p)
}

// snippet returns a package of one file; its declarations are treated as the plugin's.
func snippet(t *testing.T, text string, from types.Importer) *source {
	t.Helper()
	s := &source{path: "snippet", fset: token.NewFileSet()}
	if first, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(first, "// in ") {
		s.path, text = strings.TrimPrefix(first, "// in "), rest
	}
	f, err := parser.ParseFile(s.fset, s.path+".go", "package p; "+text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	s.files = []*ast.File{f}
	s.typeCheck(full(s.path), from)
	for _, err := range s.trouble {
		if !strings.HasSuffix(err.Error(), "not used") && !strings.Contains(err.Error(), "declared and not used") {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	return s
}

// code is a package in the form that the rules read.
type code struct {
	*source
	parent       map[ast.Node]ast.Node
	declarations map[types.Object]*ast.Ident
	writes       map[types.Object][]ast.Node // assignments of a variable or a field after its declaration
	received     map[types.Object]bool       // variables that are set by x = <-c
	literals     map[types.Object]bool       // variables that are set to a function literal
	recovers     map[types.Object]bool       // variables that are set to a recovered value
}

type finding struct {
	pos        token.Pos
	rule, text string
}

func read(s *source) *code {
	c := &code{
		source: s, parent: map[ast.Node]ast.Node{}, declarations: map[types.Object]*ast.Ident{}, writes: map[types.Object][]ast.Node{},
		received: map[types.Object]bool{}, literals: map[types.Object]bool{}, recovers: map[types.Object]bool{},
	}
	for _, f := range s.files {
		var open []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				open = open[:len(open)-1]
				return true
			}
			if len(open) > 0 {
				c.parent[n] = open[len(open)-1]
			}
			open = append(open, n)
			return true
		})
	}
	c.each(c.collect)
	return c
}

func (c *code) each(f func(n ast.Node)) {
	for _, file := range c.files {
		ast.Inspect(file, func(n ast.Node) bool {
			if n != nil {
				f(n)
			}
			return true
		})
	}
}

func (c *code) findings(rules []rule) []finding {
	var found []finding
	c.each(func(n ast.Node) {
		for _, r := range rules {
			if text := r.check(c, n); text != "" {
				found = append(found, finding{n.Pos(), r.name, text})
			}
		}
	})
	return found
}

// collect records the declarations and assignments of n, with their sources.
func (c *code) collect(n ast.Node) {
	switch n := n.(type) {
	case *ast.Ident:
		if o := c.info.Defs[n]; o != nil {
			c.declarations[o] = n
		}
	case *ast.AssignStmt, *ast.IncDecStmt, *ast.RangeStmt:
		c.collectWrites(n)
	}
	switch n := n.(type) {
	case *ast.AssignStmt:
		for i, e := range n.Lhs {
			if len(n.Lhs) == len(n.Rhs) {
				c.classify(c.place(e), n.Rhs[i])
			}
		}
	case *ast.ValueSpec:
		for i, id := range n.Names {
			if len(n.Names) == len(n.Values) {
				c.classify(c.info.Defs[id], n.Values[i])
			}
		}
	}
}

func (c *code) collectWrites(n ast.Node) {
	for _, targets := range written(c.source, n) {
		for _, e := range targets {
			o, root := c.place(e), c.whole(e)
			if id, ok := e.(*ast.Ident); o != nil && (!ok || c.info.Defs[id] == nil) {
				c.writes[o] = append(c.writes[o], n)
			}
			if root != nil && root != o { // a part of a struct is a part of the variable
				c.writes[root] = append(c.writes[root], n)
			}
		}
	}
}

func (c *code) classify(o types.Object, value ast.Expr) {
	if o == nil {
		return
	}
	if isReceive(value) {
		c.received[o] = true
	}
	if _, ok := value.(*ast.FuncLit); ok {
		c.literals[o] = true
	}
	if c.isRecover(value) {
		c.recovers[o] = true
	}
}

func isReceive(e ast.Expr) bool {
	u, ok := e.(*ast.UnaryExpr)
	return ok && u.Op == token.ARROW
}

func ident(e ast.Expr) *ast.Ident {
	id, _ := e.(*ast.Ident)
	return id
}

// place returns the variable or the field that e is.
func (c *code) place(e ast.Expr) types.Object {
	switch x := unparen(e).(type) {
	case *ast.Ident:
		if v, ok := c.info.ObjectOf(x).(*types.Var); ok {
			return v
		}
	case *ast.SelectorExpr:
		if v, ok := c.info.Uses[x.Sel].(*types.Var); ok {
			return v
		}
	}
	return nil
}

// whole returns the variable that e is a part of, without going through a pointer.
func (c *code) whole(e ast.Expr) types.Object {
	for {
		switch x := unparen(e).(type) {
		case *ast.SelectorExpr:
			if sel := c.info.Selections[x]; sel == nil || sel.Indirect() {
				return nil
			}
			e = x.X
		case *ast.IndexExpr:
			if _, ok := c.typeOf(x.X).Underlying().(*types.Array); !ok {
				return nil
			}
			e = x.X
		default:
			return c.place(x)
		}
	}
}

func unparen(e ast.Expr) ast.Expr {
	for {
		p, ok := e.(*ast.ParenExpr)
		if !ok {
			return e
		}
		e = p.X
	}
}

func (c *code) typeOf(e ast.Expr) types.Type {
	if t := c.info.TypeOf(e); t != nil {
		return t
	}
	return types.Typ[types.Invalid]
}

// function returns the innermost function around n.
func (c *code) function(n ast.Node) ast.Node {
	for p := c.parent[n]; p != nil; p = c.parent[p] {
		switch p.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			return p
		}
	}
	return nil
}

// loops returns the loops around n in its function.
func (c *code) loops(n ast.Node) []ast.Node {
	var all []ast.Node
	for p := c.parent[n]; p != nil; p = c.parent[p] {
		switch p.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			return all
		case *ast.ForStmt, *ast.RangeStmt:
			all = append(all, p)
		}
	}
	return all
}

func within(p token.Pos, n ast.Node) bool { return n.Pos() <= p && p < n.End() }

// changesAfter returns the reason that the variable or field o may be another one after
// at.
func (c *code) changesAfter(o types.Object, at ast.Node) string {
	for _, w := range c.writes[o] {
		same := c.function(w) == c.function(at)
		if v, ok := o.(*types.Var); ok && v.IsField() && !same {
			continue
		}
		if !same || w.Pos() > at.Pos() {
			return o.Name() + " is assigned again at " + c.at(w.Pos())
		}
		for _, l := range c.loops(at) {
			if within(w.Pos(), l) && w != c.declared(o) {
				return o.Name() + " is assigned again at " + c.at(w.Pos())
			}
		}
	}
	return ""
}

// declared returns the statement that declares o.
func (c *code) declared(o types.Object) ast.Node {
	if id := c.declarations[o]; id != nil {
		return c.parent[id]
	}
	return nil
}

// inLoop reports whether the local variable o is declared in a loop.
func (c *code) inLoop(o types.Object) bool {
	id := c.declarations[o]
	return id != nil && len(c.loops(id)) > 0
}

// late returns the reason that e may have another value when a call runs than when it
// is bound. Only variables and fields are read late.
func (c *code) late(e ast.Expr, at ast.Node) string {
	for e != nil {
		if o := c.place(e); o != nil {
			if why := c.changesAfter(o, at); why != "" {
				return why
			}
			if v := o.(*types.Var); !v.IsField() && c.inLoop(o) {
				return o.Name() + " is declared in a loop"
			}
		}
		sel, ok := unparen(e).(*ast.SelectorExpr)
		if !ok {
			return ""
		}
		e = sel.X
	}
	return ""
}

// used returns the object of the standard library or of the plugin that n names, as
// "sync.Pool".
func (c *code) used(n ast.Node) string {
	id, ok := n.(*ast.Ident)
	if !ok {
		return ""
	}
	o := c.info.Uses[id]
	if _, builtin := o.(*types.Builtin); builtin {
		return o.Name()
	}
	if o == nil || o.Pkg() == nil || o.Parent() != o.Pkg().Scope() {
		return ""
	}
	return o.Pkg().Path() + "." + o.Name()
}

// isOurs reports whether t is a named type of the plugin, a pointer to one, or a type
// without a name.
func isOurs(t types.Type) bool {
	for {
		p, ok := t.(*types.Pointer)
		if !ok {
			break
		}
		t = p.Elem()
	}
	switch t := t.(type) {
	case *types.Named:
		if t.Obj().Pkg() == nil {
			return false
		}
		_, ours := below(t.Obj().Pkg().Path())
		return ours
	case *types.Struct:
		return true
	case *types.Interface:
		return t.NumMethods() > 0
	}
	return false
}

func isSelect(c *code, n ast.Node) string {
	if _, ok := n.(*ast.SelectStmt); ok {
		return "goroutines share its table of cases"
	}
	return ""
}

func isGeneric(c *code, n ast.Node) string {
	switch n := n.(type) {
	case *ast.FuncType:
		if n.TypeParams != nil {
			return "type parameters"
		}
	case *ast.TypeSpec:
		if n.TypeParams != nil {
			return "type parameters"
		}
	case *ast.Ident:
		if _, ok := c.info.Instances[n]; ok {
			return n.Name + " is an instance of something generic"
		}
	}
	return ""
}

func isGo(c *code, n ast.Node) string {
	g, ok := n.(*ast.GoStmt)
	if !ok {
		return ""
	}
	if c.path != "internal/background" {
		return "goroutines are started by internal/background, which recovers"
	}
	id := ident(g.Call.Fun)
	if id == nil {
		return "only a plain function may be started"
	}
	if f, ok := c.info.Uses[id].(*types.Func); !ok || f.Parent() != c.pkg.Scope() {
		return "only a plain function may be started"
	}
	return ""
}

func isStarter(c *code, n ast.Node) string {
	switch u := c.used(n); u {
	case "time.AfterFunc", "context.AfterFunc":
		if c.path != "internal/background" {
			return u + " starts a goroutine that nobody recovers"
		}
	}
	return ""
}

// isOwnPause finds a wait for a time or the end of a context: background.Pause has it.
// A context that another function may end is no such wait.
func isOwnPause(c *code, n ast.Node) string {
	const problem = "a pause: call background.Pause"
	if c.path == "internal/background" {
		return ""
	}
	if c.used(n) == "time.Sleep" {
		return problem
	}
	block, ok := n.(*ast.BlockStmt)
	if !ok {
		return ""
	}
	timed := ""
	for _, s := range block.List {
		if a, ok := s.(*ast.AssignStmt); ok && len(a.Rhs) == 1 {
			if call, ok := a.Rhs[0].(*ast.CallExpr); ok && isNamed(call.Fun, "context", "WithTimeout") && ident(a.Lhs[0]) != nil {
				timed = ident(a.Lhs[0]).Name
				continue
			}
		}
		if _, ok := s.(*ast.DeferStmt); ok {
			continue
		}
		if e, ok := s.(*ast.ExprStmt); ok && timed != "" {
			if u, ok := e.X.(*ast.UnaryExpr); ok && u.Op == token.ARROW {
				if call, ok := u.X.(*ast.CallExpr); ok && isNamed(call.Fun, timed, "Done") {
					return problem
				}
			}
		}
		timed = ""
	}
	return ""
}

func isForbidden(c *code, n ast.Node) string {
	switch u := c.used(n); u {
	case "context.WithValue":
		if c.path != "internal/chain" {
			return u + ": a key of a type of ours is that of every package and plugin"
		}
	case "sync.Pool", "sync.OnceFunc", "sync.OnceValue", "sync.OnceValues", "sync/atomic.Pointer", "min", "max", "clear":
		return u
	}
	return ""
}

func isForeignImport(c *code, n ast.Node) string {
	i, ok := n.(*ast.ImportSpec)
	if !ok {
		return ""
	}
	p := strings.Trim(i.Path.Value, `"`)
	if _, ours := below(p); !ours && !contains(strings.Fields(interpreted), p) {
		return p + " is not there"
	}
	return ""
}

func isOddRange(c *code, n ast.Node) string {
	r, ok := n.(*ast.RangeStmt)
	if !ok {
		return ""
	}
	switch c.typeOf(r.X).Underlying().(type) {
	case *types.Basic:
		return "over an integer or a string"
	case *types.Signature:
		return "over a function"
	}
	return ""
}

func isLateDefer(c *code, n ast.Node) string {
	d, ok := n.(*ast.DeferStmt)
	if !ok {
		return ""
	}
	if sel, ok := unparen(d.Call.Fun).(*ast.SelectorExpr); ok && c.info.Selections[sel] != nil {
		if why := c.late(sel.X, n); why != "" {
			return "the receiver is looked up when it runs, and " + why
		}
	}
	for _, a := range d.Call.Args {
		if why := c.late(a, n); why != "" {
			return "the argument is looked up when it runs, and " + why
		}
	}
	return ""
}

func isDeferredVariable(c *code, n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || ident(call.Fun) == nil || !c.literals[c.place(call.Fun)] {
		return ""
	}
	for p := ast.Node(call); p != nil; p = c.parent[p] {
		if _, ok := p.(*ast.DeferStmt); ok {
			return "never returns"
		}
	}
	return ""
}

func isLooseMethod(c *code, n ast.Node) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok || c.info.Selections[sel] == nil || c.info.Selections[sel].Kind() == types.FieldVal {
		return ""
	}
	child, p := ast.Node(sel), c.parent[sel]
	for ; p != nil; child, p = p, c.parent[p] {
		if _, ok := p.(*ast.ParenExpr); !ok {
			break
		}
	}
	if call, ok := p.(*ast.CallExpr); ok && call.Fun == child {
		return ""
	}
	if c.info.Selections[sel].Kind() == types.MethodExpr {
		return "a method expression panics"
	}
	if o := c.place(sel.X); o != nil && o.(*types.Var).IsField() && len(c.writes[o]) > 0 {
		return "the receiver is looked up when it runs, and the field " + o.Name() + " is assigned at " + c.at(c.writes[o][0].Pos())
	}
	if why := c.late(sel.X, n); why != "" {
		return "the receiver is looked up when it runs, and " + why
	}
	return ""
}

func isLoopLiteral(c *code, n ast.Node) string {
	lit, ok := n.(*ast.FuncLit)
	if !ok {
		return ""
	}
	text := ""
	loops := c.loops(n)
	ast.Inspect(lit.Body, func(m ast.Node) bool {
		id, ok := m.(*ast.Ident)
		if !ok {
			return true
		}
		v, ok := c.info.Uses[id].(*types.Var)
		if !ok || v.IsField() || within(v.Pos(), lit) {
			return true
		}
		for _, l := range loops {
			if within(v.Pos(), l) {
				text = "captures " + v.Name() + ", of which the loop has only one"
			}
		}
		return true
	})
	return text
}

func isReceivedChanged(c *code, n ast.Node) string {
	if a, ok := n.(*ast.AssignStmt); ok && len(a.Rhs) == 1 && len(a.Lhs) == 1 && isReceive(a.Rhs[0]) {
		return ""
	}
	for text, targets := range written(c.source, n) {
		for _, e := range targets {
			if o := c.whole(e); o != nil && c.received[o] && c.declared(o) != n {
				return o.Name() + " was received, and " + text + ": receive into one variable, compute in another"
			}
		}
	}
	return ""
}

// isFollowed finds values of the plugin that become interfaces in interpreted code.
// Such an interface reads the variable later, and not the value it had.
func isFollowed(c *code, n ast.Node) string {
	e, ok := n.(ast.Expr)
	if !ok {
		return ""
	}
	t := c.typeOf(e)
	if types.IsInterface(t) || !isOurs(t) || c.info.Types[e].IsType() || !c.becomesInterface(e) {
		return ""
	}
	switch x := unparen(e).(type) {
	case *ast.Ident:
		return c.followedVariable(x, n)
	case *ast.SelectorExpr:
		if o := c.place(x); o != nil && len(c.writes[o]) > 0 {
			return "the interface follows " + o.Name() + ", which is assigned at " + c.at(c.writes[o][0].Pos())
		}
	case *ast.IndexExpr:
		if _, isMap := c.typeOf(x.X).Underlying().(*types.Map); !isMap {
			return "the interface follows the element: take it into a variable first"
		}
	case *ast.StarExpr:
		return "the interface follows what the pointer points to: copy it into a variable first"
	case *ast.UnaryExpr, *ast.CompositeLit, *ast.CallExpr:
		if len(c.loops(n)) > 0 {
			return "in a loop the interface follows to the value of the last round: take it into a variable first"
		}
	}
	return ""
}

func (c *code) followedVariable(id *ast.Ident, at ast.Node) string {
	o := c.place(id)
	if o == nil {
		return ""
	}
	if why := c.changesAfter(o, at); why != "" {
		return "the interface follows the variable, and " + why
	}
	switch d := c.declared(o).(type) {
	case *ast.RangeStmt:
		return "the interface follows " + o.Name() + ", of which the loop has only one"
	case *ast.AssignStmt:
		if x, ok := d.Rhs[0].(*ast.IndexExpr); ok && len(d.Lhs) == 2 && len(d.Rhs) == 1 && c.inLoop(o) {
			if _, isMap := c.typeOf(x.X).Underlying().(*types.Map); isMap {
				return "the interface follows " + o.Name() + ", of which the loop has only one"
			}
		}
	}
	return ""
}

// becomesInterface reports whether e becomes an interface that outlives the statement,
// outside of the standard library.
func (c *code) becomesInterface(e ast.Expr) bool {
	switch p := c.parent[e].(type) {
	case *ast.CallExpr:
		return p.Fun != e && c.takesInterface(p, e)
	case *ast.AssignStmt:
		for i, r := range p.Rhs {
			if r == e && len(p.Lhs) == len(p.Rhs) {
				return types.IsInterface(c.typeOf(p.Lhs[i]))
			}
		}
	case *ast.ValueSpec:
		return p.Type != nil && p.Type != e && types.IsInterface(c.typeOf(p.Type))
	case *ast.SendStmt:
		ch, ok := c.typeOf(p.Chan).Underlying().(*types.Chan)
		return ok && p.Value == e && types.IsInterface(ch.Elem())
	case *ast.KeyValueExpr:
		lit, ok := c.parent[p].(*ast.CompositeLit)
		return ok && p.Value == e && types.IsInterface(c.slot(lit, p.Key, 0))
	case *ast.CompositeLit:
		for i, x := range p.Elts {
			if x == e {
				return types.IsInterface(c.slot(p, nil, i))
			}
		}
	}
	return false
}

func (c *code) takesInterface(call *ast.CallExpr, e ast.Expr) bool {
	if c.used(ident(call.Fun)) == "append" {
		s, ok := c.typeOf(call.Args[0]).Underlying().(*types.Slice)
		return ok && call.Args[0] != e && types.IsInterface(s.Elem())
	}
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
		if o := c.info.Uses[sel.Sel]; o != nil && o.Pkg() != nil {
			if _, ours := below(o.Pkg().Path()); !ours {
				return false
			}
		}
	}
	if tv := c.info.Types[call.Fun]; tv.IsType() {
		return types.IsInterface(tv.Type)
	}
	sig, ok := c.typeOf(call.Fun).Underlying().(*types.Signature)
	if !ok {
		return false
	}
	for i, a := range call.Args {
		if a == e {
			return types.IsInterface(parameter(sig, i, call.Ellipsis.IsValid()))
		}
	}
	return false
}

func parameter(sig *types.Signature, i int, spread bool) types.Type {
	last := sig.Params().Len() - 1
	if !sig.Variadic() || i < last || spread {
		return sig.Params().At(i).Type()
	}
	return sig.Params().At(last).Type().(*types.Slice).Elem()
}

// slot returns the type of the field or element that a composite literal sets by key,
// or by index when it has no keys.
func (c *code) slot(lit *ast.CompositeLit, key ast.Expr, i int) types.Type {
	t := c.typeOf(lit).Underlying()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem().Underlying()
	}
	switch t := t.(type) {
	case *types.Map:
		return t.Elem()
	case *types.Slice:
		return t.Elem()
	case *types.Array:
		return t.Elem()
	case *types.Struct:
		if key == nil {
			return t.Field(i).Type()
		}
		if o := c.place(key); o != nil {
			return o.Type()
		}
	}
	return types.Typ[types.Invalid]
}

func isMixedAssignment(c *code, n ast.Node) string {
	switch n := n.(type) {
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN && ident(n.Key) == nil {
			return "a range sets variables alone"
		}
	case *ast.AssignStmt:
		if len(n.Rhs) == 1 && len(n.Lhs) > 1 && c.setsMapElement(n.Lhs) {
			return "the map's element gets something else: take the value into a variable first"
		}
		kinds := map[string]bool{}
		for _, e := range n.Rhs {
			kinds[c.made(e)] = true
		}
		if len(n.Rhs) > 1 && (len(kinds) > 1 || kinds["nil"]) {
			return "mixes what is called, made, received or nil with other values: one assignment each"
		}
	}
	return ""
}

// isHalfReadCase finds cases of which the interpreter reads only the first part.
func isHalfReadCase(_ *code, n ast.Node) string {
	clauses := []ast.Stmt(nil)
	switch n := n.(type) {
	case *ast.SwitchStmt:
		if n.Tag == nil {
			clauses = n.Body.List
		}
	case *ast.TypeSwitchStmt:
		if _, binds := n.Assign.(*ast.AssignStmt); !binds {
			clauses = n.Body.List
		}
	}
	for _, clause := range clauses {
		if len(clause.(*ast.CaseClause).List) > 1 {
			return "only the first of several conditions counts: one case each, or ||"
		}
	}
	return ""
}

// isNilAppended finds appended nils: the interpreter panics, because the nil has no
// type.
func isNilAppended(c *code, n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) < 2 {
		return ""
	}
	id := ident(call.Fun)
	if id == nil || id.Name != "append" || !c.isBuiltin(id) {
		return ""
	}
	for _, arg := range call.Args[1:] {
		if id := ident(arg); id != nil && id.Name == "nil" {
			return "take the nil into a variable of its type first"
		}
	}
	return ""
}

// isNegatedInterface finds results of ! that become an interface: the interpreter
// panics.
func isNegatedInterface(c *code, n ast.Node) string {
	var to []types.Type
	var from []ast.Expr
	if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.ASSIGN && len(a.Lhs) == len(a.Rhs) {
		for _, e := range a.Lhs {
			to = append(to, c.typeOf(e))
		}
		from = a.Rhs
	}
	if v, ok := n.(*ast.ValueSpec); ok && v.Type != nil {
		for range v.Values {
			to = append(to, c.typeOf(v.Type))
		}
		from = v.Values
	}
	for i, e := range from {
		if u, ok := unparen(e).(*ast.UnaryExpr); ok && u.Op == token.NOT && to[i] != nil && types.IsInterface(to[i]) {
			return "take the result of ! into a variable first"
		}
	}
	return ""
}

// isStrayResult finds results that the interpreter stores in the place of another one,
// or in one of another type.
func isStrayResult(c *code, n ast.Node) string {
	r, ok := n.(*ast.ReturnStmt)
	if !ok {
		return ""
	}
	results := c.resultsAround(r)
	for i, e := range r.Results {
		if results == nil || results.Len() != len(r.Results) {
			break
		}
		t := results.At(i).Type()
		switch x := unparen(e).(type) {
		case *ast.CallExpr:
			if i == 0 {
				continue
			}
			if id := ident(x.Fun); id != nil && c.isBuiltin(id) {
				return id.Name + " becomes the first result, too: take the value into a variable first"
			}
			if got := c.typeOf(x); types.IsInterface(t) && !types.IsInterface(got) && isOurs(got) && types.Identical(got, results.At(0).Type()) {
				return "the result of the call does not become an interface: take it into a variable of that type first"
			}
		case *ast.UnaryExpr:
			if x.Op == token.ARROW {
				return "what is received cannot be returned: take it into a variable first"
			}
			if x.Op != token.AND && types.IsInterface(t) && c.info.Types[e].Value == nil {
				return "the value does not become an interface: take it into a variable first"
			}
		case *ast.BinaryExpr:
			if types.IsInterface(t) && isComparison(x.Op) && c.info.Types[e].Value == nil {
				return "the value does not become an interface: take it into a variable first"
			}
		}
	}
	return ""
}

func isComparison(op token.Token) bool {
	switch op {
	case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
		return true
	}
	return false
}

func (c *code) isBuiltin(id *ast.Ident) bool {
	_, builtin := c.info.Uses[id].(*types.Builtin)
	return builtin
}

// resultsAround returns the results of the function around n.
func (c *code) resultsAround(n ast.Node) *types.Tuple {
	for n = c.parent[n]; n != nil; n = c.parent[n] {
		switch f := n.(type) {
		case *ast.FuncLit:
			return c.typeOf(f).(*types.Signature).Results()
		case *ast.FuncDecl:
			return c.info.Defs[f.Name].Type().(*types.Signature).Results()
		}
	}
	return nil
}

// isNamedResult finds results that begin with the value of the caller's variable.
func isNamedResult(_ *code, n ast.Node) string {
	f, ok := n.(*ast.FuncType)
	if !ok || f.Results == nil {
		return ""
	}
	for _, r := range f.Results.List {
		if len(r.Names) > 0 {
			return "they do not begin as zero: declare variables"
		}
	}
	return ""
}

func (c *code) setsMapElement(targets []ast.Expr) bool {
	for _, e := range targets {
		if x, ok := unparen(e).(*ast.IndexExpr); ok {
			if _, isMap := c.typeOf(x.X).Underlying().(*types.Map); isMap {
				return true
			}
		}
	}
	return false
}

// made returns the operation that produces the value of e; it is empty if e only reads
// a variable.
func (c *code) made(e ast.Expr) string {
	switch x := unparen(e).(type) {
	case *ast.CallExpr:
		if !c.info.Types[x.Fun].IsType() {
			return "called"
		}
	case *ast.CompositeLit, *ast.FuncLit:
		return "made"
	case *ast.UnaryExpr:
		if x.Op == token.ARROW {
			return "received"
		}
		if x.Op == token.AND {
			return c.made(x.X)
		}
	case *ast.Ident:
		if isNil(c.typeOf(x)) || x.Name == "nil" {
			return "nil"
		}
	}
	return ""
}

func isInterfaceCompare(c *code, n ast.Node) string {
	if m, ok := n.(*ast.MapType); ok {
		if t := c.typeOf(m.Key); types.IsInterface(t) && isOurs(t) {
			return "as the key of a map: two of the same pointer differ"
		}
	}
	b, ok := n.(*ast.BinaryExpr)
	if !ok || b.Op != token.EQL && b.Op != token.NEQ {
		return ""
	}
	x, y := c.typeOf(b.X), c.typeOf(b.Y)
	if types.IsInterface(x) && !isNil(y) && (isOurs(x) || isOurs(y)) || types.IsInterface(y) && !isNil(x) && (isOurs(x) || isOurs(y)) {
		return "two of the same pointer differ"
	}
	return ""
}

func isNil(t types.Type) bool {
	b, ok := t.(*types.Basic)
	return ok && b.Kind() == types.UntypedNil
}

func isErrorType(c *code, n ast.Node) string {
	switch n := n.(type) {
	case *ast.CallExpr:
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok && c.used(sel.Sel) == "errors.As" && len(n.Args) == 2 && isOurs(c.typeOf(n.Args[1])) {
			return "errors.As to a type of ours"
		}
	case *ast.TypeAssertExpr:
		if n.Type != nil && c.isError(n.X) && isOurs(c.typeOf(n.Type)) {
			return "asserts an error to a type of ours"
		}
	case *ast.CaseClause:
		s, ok := c.parent[c.parent[n]].(*ast.TypeSwitchStmt)
		if !ok || !c.isError(switched(s)) {
			return ""
		}
		for _, e := range n.List {
			if c.info.Types[e].IsType() && isOurs(c.typeOf(e)) {
				return "asserts an error to a type of ours"
			}
		}
	}
	return ""
}

// switched returns the expression that s switches on.
func switched(s *ast.TypeSwitchStmt) ast.Expr {
	var e ast.Expr
	switch a := s.Assign.(type) {
	case *ast.ExprStmt:
		e = a.X
	case *ast.AssignStmt:
		e = a.Rhs[0]
	}
	return e.(*ast.TypeAssertExpr).X
}

func (c *code) isError(e ast.Expr) bool {
	return types.Identical(c.typeOf(e), types.Universe.Lookup("error").Type())
}

func isUnseenMethod(c *code, n ast.Node) string {
	f, ok := n.(*ast.FuncDecl)
	if !ok || f.Recv == nil {
		return ""
	}
	switch f.Name.Name {
	case "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "String", "GoString", "LogValue", "Unwrap", "Is", "As", "Format", "Error":
		return f.Name.Name + " is not seen by the standard library"
	}
	return ""
}

func isEmbedded(c *code, n ast.Node) string {
	s, ok := n.(*ast.StructType)
	if !ok {
		return ""
	}
	for _, f := range s.Fields.List {
		if len(f.Names) == 0 {
			return "name the field"
		}
	}
	return ""
}

func isLeakedField(c *code, n ast.Node) string {
	s, ok := n.(*ast.StructType)
	if !ok {
		return ""
	}
	tagged, hidden := false, ""
	for _, f := range s.Fields.List {
		tagged = tagged || f.Tag != nil && strings.Contains(f.Tag.Value, `json:"`)
		for _, id := range f.Names {
			if !id.IsExported() {
				hidden = id.Name
			}
		}
	}
	if tagged && hidden != "" {
		return hidden + " is written as X" + hidden
	}
	return ""
}

func isUnnamed(c *code, n ast.Node) string {
	f, ok := n.(*ast.FuncDecl)
	if !ok || f.Recv == nil {
		return ""
	}
	for _, p := range f.Type.Params.List {
		if len(p.Names) == 0 {
			return f.Name.Name + ": name every parameter, _ is fine"
		}
	}
	return ""
}

func isForeignField(c *code, n ast.Node) string {
	lit, ok := n.(*ast.CompositeLit)
	if !ok || isOurs(c.typeOf(lit)) {
		return ""
	}
	if _, ok := c.typeOf(lit).Underlying().(*types.Struct); !ok {
		return ""
	}
	for i, e := range lit.Elts {
		slot, value := c.slot(lit, nil, i), e
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			slot, value = c.slot(lit, kv.Key, 0), kv.Value
		}
		if t := c.typeOf(value); types.IsInterface(slot) && !types.IsInterface(t) && isOurs(t) {
			return "take the value into a variable of the interface first"
		}
	}
	return ""
}

func (c *code) isRecover(e ast.Expr) bool {
	call, ok := unparen(e).(*ast.CallExpr)
	return ok && c.used(ident(call.Fun)) == "recover"
}

// isRecoveredUse permits a recovered value to be dropped, kept in a variable, and
// compared with nil.
func isRecoveredUse(c *code, n ast.Node) string {
	e, ok := n.(ast.Expr)
	if !ok {
		return ""
	}
	held := ident(e) != nil && c.info.Uses[ident(e)] != nil && c.recovers[c.info.Uses[ident(e)]]
	if !held && !c.isRecover(e) {
		return ""
	}
	switch p := c.parent[e].(type) {
	case *ast.ExprStmt, *ast.AssignStmt, *ast.ValueSpec:
		return ""
	case *ast.BinaryExpr:
		if isNil(c.typeOf(p.X)) || isNil(c.typeOf(p.Y)) {
			return ""
		}
	}
	return "it is wrapped: only tell that there was one"
}

func isLong(c *code, n ast.Node) string {
	most := maxFunctionLines
	if _, ok := n.(*ast.File); ok {
		most = maxFileLines
	} else if _, ok := n.(*ast.FuncDecl); !ok {
		return ""
	}
	from, to := c.fset.Position(n.Pos()), c.fset.Position(n.End())
	name := from.Filename
	if f, ok := n.(*ast.FuncDecl); ok {
		name += " " + f.Name.Name
	} else {
		from.Line = 1
		to.Line = c.fset.File(n.Pos()).LineCount()
	}
	if to.Line-from.Line < most || outOfBounds[name] != "" {
		return ""
	}
	return name + " is longer than agreed"
}

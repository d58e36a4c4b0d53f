// Package loader runs the plugin from source in the interpreter, step by step as
// Traefik 3.6.12 and 3.7.9 do. It has the same interpreter options and symbols. It
// decodes the options into the result of CreateConfig in the same way, and calls New by
// reflection once per router.
package loader

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/mitchellh/mapstructure"
	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"

	"github.com/traefikoidc/traefikoidc/internal/firstuse"
)

const (
	importPath = "github.com/traefikoidc/traefikoidc"
	basePkg    = "traefikoidc"
)

// Plugin is the plugin in one interpreter. Traefik has one per process, so its
// package variables outlive every handler. Load does the same.
type Plugin struct {
	Log   *Log   // of standard output and standard error of the interpreted code
	Clock *Clock // of the interpreted code

	create reflect.Value
	build  reflect.Value
	types  *firstuse.Types
}

var (
	once   sync.Once
	shared *Plugin
	failed error

	mu  sync.Mutex // guards the following
	all []*Plugin
)

// Load returns the plugin of this process. The sources are read at the first call.
func Load(t testing.TB) *Plugin {
	t.Helper()
	once.Do(func() { shared, failed = load() })
	if failed != nil {
		t.Fatal(failed)
	}
	return shared
}

// LoadAlone returns the plugin in an interpreter of its own. A test may set its clock.
func LoadAlone(t testing.TB) *Plugin {
	t.Helper()
	p, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Main runs the tests. It fails if a plugin of this process came to know a type only
// when it ran, because that is a data race of two first requests at once.
func Main(m *testing.M) int {
	code := m.Run()
	mu.Lock()
	defer mu.Unlock()
	for _, p := range all {
		for _, use := range p.types.Computed() {
			fmt.Println("FAIL: the interpreter computes at its first use:", use)
			code = 1
		}
	}
	return code
}

// Function returns a function of a package of the module, in an interpreter of its own.
func Function(t testing.TB, pkg, name string) any {
	t.Helper()
	goPath, err := newGoPath()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(goPath) })
	i := interp.New(interp.Options{GoPath: goPath})
	if err := i.Use(stdlib.Symbols); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Eval(fmt.Sprintf("import %q", importPath+"/"+pkg)); err != nil {
		t.Fatal(err)
	}
	f, err := i.Eval(filepath.Base(pkg) + "." + name)
	if err != nil {
		t.Fatal(err)
	}
	return f.Interface()
}

// newGoPath makes a GOPATH that has the module's sources.
func newGoPath() (string, error) {
	root, err := sources()
	if err != nil {
		return "", err
	}
	goPath, err := os.MkdirTemp("", "traefikoidc-gopath-")
	if err != nil {
		return "", err
	}
	link := filepath.Join(goPath, "src", filepath.FromSlash(importPath))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return goPath, err
	}
	return goPath, os.Symlink(root, link)
}

func load() (*Plugin, error) {
	goPath, err := newGoPath()
	defer os.RemoveAll(goPath)
	if err != nil {
		return nil, err
	}

	p := &Plugin{Clock: &Clock{}}
	var out *os.File
	if p.Log, out, err = newLog(); err != nil {
		return nil, err
	}
	i := interp.New(interp.Options{GoPath: goPath, Env: os.Environ(), Stdout: out, Stderr: out})
	if err := i.Use(stdlib.Symbols); err != nil {
		return nil, fmt.Errorf("loader: symbols: %w", err)
	}
	if err := i.Use(p.Clock.symbols()); err != nil {
		return nil, fmt.Errorf("loader: clock: %w", err)
	}
	if _, err := i.Eval(fmt.Sprintf("import %q", importPath)); err != nil {
		return nil, fmt.Errorf("loader: import: %w", err)
	}
	if p.build, err = i.Eval(basePkg + ".New"); err != nil {
		return nil, fmt.Errorf("loader: New: %w", err)
	}
	if p.create, err = i.Eval(basePkg + ".CreateConfig"); err != nil {
		return nil, fmt.Errorf("loader: CreateConfig: %w", err)
	}
	p.types = firstuse.Of(i)
	mu.Lock()
	all = append(all, p)
	mu.Unlock()
	return p, nil
}

// sources returns the nearest directory above with the plugin's go.mod.
func sources() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+importPath+"\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("loader: no go.mod of the plugin in any directory above")
		}
		dir = parent
	}
}

// Middleware is one middleware of the dynamic configuration. Its options are decoded
// once for all routers that name it.
type Middleware struct {
	plugin *Plugin
	name   string
	config reflect.Value
}

// Middleware decodes the options of the middleware of that name.
func (p *Plugin) Middleware(name string, options map[string]any) (*Middleware, error) {
	config := p.create.Call(nil)[0]
	if len(options) > 0 {
		d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
			DecodeHook:       mapstructure.StringToSliceHookFunc(","),
			WeaklyTypedInput: true,
			Result:           config.Interface(),
		})
		if err != nil {
			return nil, err
		}
		if err := d.Decode(options); err != nil {
			return nil, fmt.Errorf("loader: decode: %w", err)
		}
	}
	return &Middleware{plugin: p, name: name, config: config}, nil
}

// Handler returns the handler of one router. ctx ends with the dynamic configuration.
func (m *Middleware) Handler(ctx context.Context, next http.Handler) (http.Handler, error) {
	out := m.plugin.build.Call([]reflect.Value{
		reflect.ValueOf(ctx), reflect.ValueOf(next), m.config, reflect.ValueOf(m.name),
	})
	if failure := out[1].Interface(); failure != nil {
		err, ok := failure.(error)
		if !ok {
			return nil, fmt.Errorf("loader: New returned a %T as its error", failure)
		}
		return nil, err
	}
	h, ok := out[0].Interface().(http.Handler)
	if !ok {
		return nil, fmt.Errorf("loader: New returned a %T as its handler", out[0].Interface())
	}
	return h, nil
}

// Options returns the present decoded options as text.
func (m *Middleware) Options() string {
	return fmt.Sprintf("%+v", m.config.Interface())
}

// New returns the handler of a middleware for one router. It lives as long as the test.
func (p *Plugin) New(t testing.TB, next http.Handler, name string, options map[string]any) http.Handler {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	m, err := p.Middleware(name, options)
	if err != nil {
		t.Fatal(err)
	}
	h, err := m.Handler(ctx, next)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Accepts reports whether the plugin accepts the options. If not it returns the error
// text.
func (p *Plugin) Accepts(name string, options map[string]any) (string, bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, err := p.Middleware(name, options)
	if err == nil {
		_, err = m.Handler(ctx, http.NotFoundHandler())
	}
	if err != nil {
		return err.Error(), false
	}
	return "", true
}

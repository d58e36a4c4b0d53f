// Package examples tests that the plugin accepts the configurations in examples/, decoded
// in the same way as Traefik decodes them.
package examples

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/mitchellh/mapstructure"
	"gopkg.in/yaml.v3"

	"github.com/traefikoidc/traefikoidc"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// key replaces a secret of the operator.
var key = oidctest.NewSecret()

// variables has the variables that the examples read from Traefik's environment.
var variables = map[string]string{
	"PROVIDER_URL": "https://login.example.com", "CLIENT_ID": "app", "CLIENT_SECRET": "secret", "SESSION_KEY": key,
	"DEMO_CLIENT_SECRET": "secret", "DEMO_SESSION_KEY": key,
}

func TestExamplesAreAccepted(t *testing.T) {
	for name, value := range variables {
		t.Setenv(name, value)
	}
	root := filepath.Join("..", "..", "examples")
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yml" {
			return err
		}
		for _, options := range middlewares(t, path) {
			found++
			t.Run(strings.TrimPrefix(path, root), func(t *testing.T) { accept(t, options) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 4 {
		t.Errorf("only %d middlewares in the examples", found)
	}
}

// The secrets of the middleware for Kubernetes are files in the directory where the
// values of the chart mount the Secret. Traefik's API shows the names of the files only.
func TestKubernetesSecretsAreMounted(t *testing.T) {
	root := filepath.Join("..", "..", "examples", "kubernetes")
	text, err := os.ReadFile(filepath.Join(root, "values.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		Volumes []struct {
			Name, Type string
			MountPath  string `yaml:"mountPath"`
		}
	}
	if err := yaml.Unmarshal(text, &values); err != nil || len(values.Volumes) != 1 || values.Volumes[0].Type != "secret" {
		t.Fatalf("%+v, %v", values, err)
	}
	for _, options := range middlewares(t, filepath.Join(root, "middleware.yml")) {
		for _, name := range []string{"clientSecret", "sessionEncryptionKey"} {
			if value, _ := options[name].(string); !strings.HasPrefix(value, "file:"+values.Volumes[0].MountPath+"/") {
				t.Errorf("%s is %q, which is not below %s", name, value, values.Volumes[0].MountPath)
			}
		}
	}
}

// middlewares returns the options of each middleware in all YAML documents of a file.
func middlewares(t *testing.T, path string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for decoder := yaml.NewDecoder(content(t, path)); ; {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, below(document)...)
	}
}

// content returns the text of a file. Traefik's file provider executes its files as
// templates with access to the environment. Resources of Kubernetes are not executed.
func content(t *testing.T, path string) io.Reader {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(path) != "dynamic.yml" {
		return bytes.NewReader(text)
	}
	file, err := template.New(path).Funcs(template.FuncMap{"env": os.Getenv}).Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := file.Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	return &out
}

// below returns the options under plugin and traefikoidc in a YAML node.
func below(node any) []map[string]any {
	m, ok := node.(map[string]any)
	if !ok {
		return nil
	}
	var all []map[string]any
	for name, value := range m {
		if plugin, ok := value.(map[string]any); ok && name == "plugin" {
			if options, ok := plugin["traefikoidc"].(map[string]any); ok {
				all = append(all, options)
				continue
			}
		}
		all = append(all, below(value)...)
	}
	return all
}

// accept makes a handler with the options. Files that they name are replaced by temporary
// ones.
func accept(t *testing.T, options map[string]any) {
	for name, value := range options {
		if s, ok := value.(string); ok && strings.HasPrefix(s, "file:") {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			options[name] = "file:" + path
		}
	}
	config := traefikoidc.CreateConfig()
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		DecodeHook:       mapstructure.StringToSliceHookFunc(","),
		WeaklyTypedInput: true,
		Result:           config,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := decoder.Decode(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if _, err := traefikoidc.New(ctx, http.NotFoundHandler(), config, "example"); err != nil {
		t.Error(err)
	}
}

package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const composeFolder = "../../examples/compose"

// variable matches a variable in compose.yml. With ":?" it requires a value; with
// anything else it may be empty.
var variable = regexp.MustCompile(`^\$\{([A-Z_]+)(:\?|:-|-|\?)[^}]*\}$`)

// composeVariables returns the variables that compose.yml sets for Traefik. True: Docker
// refuses to start without a value.
func composeVariables(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(composeFolder, "compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct{ Environment map[string]string }
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for name, value := range compose.Services["traefik"].Environment {
		m := variable.FindStringSubmatch(value)
		if m == nil || m[1] != name {
			t.Fatalf("%s is %q", name, value)
		}
		required[name] = m[2] == ":?"
	}
	return required
}

// The example starts with the required variables only, and with all variables.
func TestComposeStarts(t *testing.T) {
	file := filepath.Join(composeFolder, "dynamic.yml")
	for name, all := range map[string]bool{"required variables": false, "all variables": true} {
		t.Run(name, func(t *testing.T) {
			for name, required := range composeVariables(t) {
				value := ""
				if all || required {
					if value = variables[name]; value == "" {
						t.Fatalf("%s has no value here", name)
					}
				}
				t.Setenv(name, value)
			}
			found := middlewares(t, file)
			if len(found) != 1 {
				t.Fatalf("%d middlewares", len(found))
			}
			options := found[0]
			if _, secret := options["clientSecret"]; secret != all {
				t.Errorf("clientSecret is set: %t, want %t", secret, all)
			}
			for name := range options {
				if strings.HasPrefix(name, "allowed") {
					t.Errorf("%s locks out users of a copy of the example", name)
				}
			}
			accept(t, options)
		})
	}
}

// The examples and the documents have the same callback.
func TestExamplesHaveTheCallbackOfTheDocuments(t *testing.T) {
	const callback = "/oauth2/callback"
	for path, text := range map[string]string{
		"../../README.md": "https://app.example.com" + callback, "../../docs/configuration.md": "callbackURL: " + callback, composeFolder + "/compose.yml": "https://app.example.com" + callback,
	} {
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(b), text) {
			t.Errorf("%s does not have %s: %v", path, text, err)
		}
	}
	for _, path := range []string{composeFolder + "/dynamic.yml", "../../examples/kubernetes/middleware.yml"} {
		for _, options := range middlewares(t, path) {
			if options["callbackURL"] != callback {
				t.Errorf("%s: %v", path, options["callbackURL"])
			}
		}
	}
}

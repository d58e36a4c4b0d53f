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

// variable is one of compose.yml: ":?" demands a value, anything else may be empty.
var variable = regexp.MustCompile(`^\$\{([A-Z_]+)(:\?|:-|-|\?)[^}]*\}$`)

// composeVariables are those that compose.yml hands to Traefik, and whether Docker
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
	demanded := map[string]bool{}
	for name, value := range compose.Services["traefik"].Environment {
		m := variable.FindStringSubmatch(value)
		if m == nil || m[1] != name {
			t.Fatalf("%s is %q", name, value)
		}
		demanded[name] = m[2] == ":?"
	}
	return demanded
}

// The example starts as it is: with every variable empty that may be, and with all
// of them.
func TestComposeStartsAsItIs(t *testing.T) {
	file := filepath.Join(composeFolder, "dynamic.yml")
	for name, all := range map[string]bool{"what has to be there": false, "everything": true} {
		t.Run(name, func(t *testing.T) {
			for name, demanded := range composeVariables(t) {
				value := ""
				if all || demanded {
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
				t.Errorf("clientSecret is there: %t, want %t", secret, all)
			}
			for name := range options {
				if strings.HasPrefix(name, "allowed") {
					t.Errorf("%s locks out who copies the example", name)
				}
			}
			accept(t, options)
		})
	}
}

// The callback of the examples is that of the documents.
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

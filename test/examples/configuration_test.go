package examples

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/traefikoidc/traefikoidc"
)

// The kinds of configuration, by the keys at the top.
const (
	dynamic    = "dynamic configuration"
	static     = "static configuration"
	labels     = "labels of Docker"
	compose    = "Compose file"
	kubernetes = "resources of Kubernetes"
	helm       = "values of Traefik's Helm chart"
	options    = "options of the plugin"
)

var (
	dynamicKeys = []string{"http", "tcp", "udp", "tls"}
	staticKeys  = []string{
		"accessLog", "api", "certificatesResolvers", "entryPoints", "experimental", "global", "log", "metrics", "ping", "providers", "serversTransport", "tracing",
	}
	helmKeys = []string{
		"additionalArguments", "additionalVolumeMounts", "deployment", "env", "envFrom", "experimental", "image", "logs", "metrics", "podSecurityContext",
		"ports", "providers", "securityContext", "service", "volumes",
	}
	composeKeys = []string{"services", "volumes", "networks", "secrets", "configs", "name"}
)

// kind returns the kind of a block, or an error if there is none that has its keys.
func kind(b block) (string, error) {
	if b.language == "toml" {
		return "", errors.New("the pages have YAML; add a decoder for TOML here")
	}
	all, err := documents(b.text)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", errors.New("an empty block")
	}
	keys := make([]string, 0, len(all[0]))
	for key := range all[0] {
		keys = append(keys, key)
	}
	within := func(known []string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return !slices.Contains(known, key) })
	}
	services, _ := all[0]["services"].(map[string]any)
	switch {
	case slices.Contains(keys, "apiVersion"):
		return kubernetes, nil
	case len(all) > 1:
		return "", errors.New("several documents, the first of which is not of Kubernetes")
	case within(dynamicKeys):
		return dynamic, nil
	case within([]string{"labels"}):
		return labels, nil
	case services != nil && within(composeKeys):
		return compose, nil
	case within(staticKeys):
		return static, nil
	case within(helmKeys):
		return helm, nil
	case !slices.ContainsFunc(keys, func(key string) bool { return !isOption(key) }):
		return options, nil
	}
	return "", fmt.Errorf("the keys %v are of no kind of configuration and no options of the plugin", keys)
}

func isConfiguration(b block) error {
	found, err := kind(b)
	if err == nil && found == kubernetes {
		err = checkKubernetes(b)
	}
	return err
}

// isOption reports whether the plugin has an option of a name.
func isOption(name string) bool {
	_, ok := reflect.TypeOf(*traefikoidc.CreateConfig()).FieldByNameFunc(func(field string) bool {
		return strings.EqualFold(field, name)
	})
	return ok
}

// Every block of YAML is loaded by Traefik, or is part of a file that it loads.
func TestConfigurations(t *testing.T) {
	var parts []block
	for _, b := range blocks(t) {
		if b.language != "yaml" {
			continue
		}
		if found, _ := kind(b); found == options || found == kubernetes {
			parts = append(parts, b)
			continue
		}
		t.Run(b.name(), func(t *testing.T) {
			if err := load(t, b); err != nil {
				t.Errorf("%s:%d: %v", b.page, b.line, err)
			}
		})
	}
	// One Traefik has them all.
	t.Run("options", func(t *testing.T) {
		if err := loadOptions(t, parts); err != nil {
			t.Error(err)
		}
	})
}

// load has Traefik load a block by itself.
func load(t *testing.T, b block) error {
	t.Helper()
	found, err := kind(b)
	if err != nil {
		return err
	}
	switch found {
	case dynamic:
		return loadDynamic(t, b.text)
	case labels:
		return loadLabels(t, b.text)
	case static:
		return loadStatic(t, b.text)
	case compose:
		return loadCompose(t, b.text)
	case helm:
		return loadHelm(t, b.text)
	case kubernetes:
		if err := checkKubernetes(b); err != nil {
			return err
		}
	}
	return loadOptions(t, []block{b})
}

// A resource is one of Kubernetes, of those that the pages have.
type resource struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec       yaml.Node
	Type       string
	Data       map[string]string
	StringData map[string]string `yaml:"stringData"`
}

type reference struct{ Name, Namespace string }

type ingressRoute struct {
	EntryPoints []string `yaml:"entryPoints"`
	Routes      []struct {
		Match, Kind string
		Priority    int
		Middlewares []reference
		Services    []struct {
			Name, Namespace, Kind, Scheme string
			Port                          any
		}
	}
	TLS map[string]any
}

// checkKubernetes decodes the resources with their known fields only.
func checkKubernetes(b block) error {
	decoder := yaml.NewDecoder(strings.NewReader(b.text))
	decoder.KnownFields(true)
	all, err := documents(b.text)
	if err != nil {
		return err
	}
	for range all {
		var r resource
		if err := decoder.Decode(&r); err != nil {
			return err
		}
		if r.Metadata.Name == "" {
			return fmt.Errorf("a %s has no name", r.Kind)
		}
		switch r.APIVersion + " " + r.Kind {
		case "traefik.io/v1alpha1 Middleware":
			var spec struct{ Plugin map[string]map[string]any }
			if err := strictly(&r.Spec, &spec); err != nil {
				return err
			}
			if len(spec.Plugin) != 1 || spec.Plugin["traefikoidc"] == nil {
				return fmt.Errorf("the middleware %s is not of the plugin traefikoidc", r.Metadata.Name)
			}
		case "traefik.io/v1alpha1 IngressRoute":
			var spec ingressRoute
			if err := strictly(&r.Spec, &spec); err != nil {
				return err
			}
			if len(spec.Routes) == 0 || spec.Routes[0].Match == "" || spec.Routes[0].Kind != "Rule" {
				return fmt.Errorf("the routes of %s are %+v", r.Metadata.Name, spec.Routes)
			}
		case "v1 Secret":
			if len(r.Data)+len(r.StringData) == 0 {
				return fmt.Errorf("the secret %s is empty", r.Metadata.Name)
			}
		default:
			return fmt.Errorf("no check for %s %s", r.APIVersion, r.Kind)
		}
	}
	return nil
}

// strictly decodes a node into v, which has all of its fields.
func strictly(node *yaml.Node, v any) error {
	text, err := yaml.Marshal(node)
	if err != nil {
		return err
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	return decoder.Decode(v)
}

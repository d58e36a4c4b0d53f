package examples

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/traefikoidc/traefikoidc/internal/traefiktest"
)

// start runs Traefik with a static configuration until the test ends.
func start(t *testing.T, dir string, config map[string]any, env []string) (*traefiktest.Traefik, error) {
	t.Helper()
	text, err := yaml.Marshal(config)
	if err != nil {
		return nil, err
	}
	write(t, filepath.Join(dir, "traefik.yml"), string(text))
	source, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	traefik, err := traefiktest.Start(traefiktest.Options{
		Dir: dir, Static: "traefik.yml", Env: env, Plugins: map[string]string{traefiktest.Module: source},
	})
	if err == nil {
		t.Cleanup(traefik.Stop)
	}
	return traefik, err
}

// loadStatic has Traefik start with a static configuration, on other ports.
func loadStatic(t *testing.T, text string) error {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	return startsWith(t, config)
}

func startsWith(t *testing.T, config map[string]any) error {
	t.Helper()
	points, _ := config["entryPoints"].(map[string]any)
	if points == nil {
		points = map[string]any{"web": address("")}
		config["entryPoints"] = points
	}
	for name, point := range points {
		options, ok := point.(map[string]any)
		if !ok {
			return fmt.Errorf("the entry point %s is %v", name, point)
		}
		options["address"] = "127.0.0.1:0"
	}
	log, _ := config["log"].(map[string]any)
	if log == nil {
		log = map[string]any{}
		config["log"] = log
	}
	log["level"], log["noColor"] = "INFO", true
	dir := t.TempDir()
	if providers, ok := config["providers"].(map[string]any); ok {
		if file, ok := providers["file"].(map[string]any); ok && file["filename"] != nil {
			file["filename"] = "dynamic.yml"
			write(t, filepath.Join(dir, "dynamic.yml"), "http: {}\n")
		}
	}
	traefik, err := start(t, dir, config, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case <-traefik.Done():
			return fmt.Errorf("traefik has ended: %s", traefik.LastLines())
		case <-time.After(20 * time.Millisecond):
		}
		log := traefik.LastLines()
		if strings.Contains(log, "Plugins are disabled") {
			return errors.New(log)
		}
		if strings.Contains(log, "Starting provider") {
			return nil
		}
	}
	return fmt.Errorf("not started: %s", traefik.LastLines())
}

// loadCompose checks the services of a Compose file: the flags of Traefik, and the
// labels of all.
func loadCompose(t *testing.T, text string) error {
	t.Helper()
	var file struct {
		Services map[string]struct {
			Image   string
			Command []string
			Labels  any
		}
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return err
	}
	for name, one := range file.Services {
		if one.Image == "" {
			return fmt.Errorf("the service %s has no image", name)
		}
		if strings.HasPrefix(one.Image, "traefik:") && len(one.Command) > 0 {
			config, err := flags(one.Command)
			if err != nil {
				return err
			}
			if err := startsWith(t, config); err != nil {
				return err
			}
		}
		if one.Labels != nil {
			if err := loadContainer(t, one.Labels); err != nil {
				return err
			}
		}
	}
	return nil
}

// flags makes a static configuration of Traefik's flags. The names of the flags are the
// paths in it.
func flags(command []string) (map[string]any, error) {
	config := map[string]any{}
	for _, flag := range command {
		path, value, ok := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		if !strings.HasPrefix(flag, "--") {
			return nil, fmt.Errorf("%s is not a flag", flag)
		}
		if !ok {
			value = "true"
		}
		parts := strings.Split(path, ".")
		// Traefik ignores an unknown name at the top of a file, though not in a flag.
		i := slices.IndexFunc(staticKeys, func(key string) bool { return strings.EqualFold(key, parts[0]) })
		if i < 0 {
			return nil, fmt.Errorf("traefik has no flags %s", parts[0])
		}
		parts[0] = staticKeys[i]
		at := config
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = value
	}
	return config, nil
}

// loadHelm checks the values of Traefik's chart that the chart makes static
// configuration, and that each volume is one of the pod.
func loadHelm(t *testing.T, text string) error {
	t.Helper()
	var values struct {
		Deployment struct {
			AdditionalVolumes []struct{ Name string } `yaml:"additionalVolumes"`
		}
		Experimental struct {
			Abort        bool `yaml:"abortOnPluginFailure"`
			LocalPlugins map[string]struct {
				ModuleName string `yaml:"moduleName"`
				MountPath  string `yaml:"mountPath"`
				VolumeName string `yaml:"volumeName"`
				Type       string
			} `yaml:"localPlugins"`
		}
		Volumes []struct {
			Name, Type string
			MountPath  string `yaml:"mountPath"`
		}
	}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		return err
	}
	for _, volume := range values.Volumes {
		if volume.Name == "" || volume.MountPath == "" || volume.Type != "secret" && volume.Type != "configMap" {
			return fmt.Errorf("a volume is %+v", volume)
		}
	}
	have := map[string]bool{}
	for _, volume := range values.Deployment.AdditionalVolumes {
		have[volume.Name] = true
	}
	plugins := map[string]any{}
	for name, plugin := range values.Experimental.LocalPlugins {
		if plugin.MountPath != "/plugins-local/src/"+plugin.ModuleName {
			return fmt.Errorf("Traefik does not look for %s at %s", plugin.ModuleName, plugin.MountPath)
		}
		if plugin.Type == "localPath" && !have[plugin.VolumeName] {
			return fmt.Errorf("no volume of the pod is named %q", plugin.VolumeName)
		}
		plugins[name] = map[string]any{"moduleName": plugin.ModuleName}
	}
	if len(plugins) == 0 {
		return nil
	}
	return startsWith(t, map[string]any{"experimental": map[string]any{"abortOnPluginFailure": values.Experimental.Abort, "localPlugins": plugins}})
}

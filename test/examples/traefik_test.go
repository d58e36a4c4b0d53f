package examples

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/traefikoidc/traefikoidc/internal/freeport"
	"github.com/traefikoidc/traefikoidc/internal/traefiktest"
)

// enough is the time that a loaded machine may take to start Traefik.
const enough = 2 * time.Minute

// base are the options without which the plugin does not start.
var base = map[string]any{
	"providerURL": "https://id.example.com", "clientID": "app", "clientSecret": "secret", "sessionEncryptionKey": key, "callbackURL": "/oauth2/callback",
}

// routes is the part of a dynamic configuration with names to which others refer.
type routes struct {
	Routers map[string]struct {
		EntryPoints []string `yaml:"entryPoints"`
		Middlewares []string
		Service     string
	} `yaml:",omitempty"`
	Middlewares map[string]any `yaml:",omitempty"`
	Services    map[string]any `yaml:",omitempty"`
}

// loadDynamic has Traefik serve a dynamic configuration. Middlewares and services
// that it refers to and does not have are added in a second file.
func loadDynamic(t *testing.T, text string) error {
	t.Helper()
	var have struct{ HTTP routes }
	if err := yaml.Unmarshal([]byte(text), &have); err != nil {
		return err
	}
	rest := routes{Middlewares: map[string]any{}, Services: map[string]any{}}
	used := map[string]bool{}
	var entryPoints []string
	for _, router := range have.HTTP.Routers {
		entryPoints = append(entryPoints, router.EntryPoints...)
		for _, name := range router.Middlewares {
			used[name] = true
			if have.HTTP.Middlewares[name] == nil {
				rest.Middlewares[name] = plugin(base)
			}
		}
		if have.HTTP.Services[router.Service] == nil {
			rest.Services[router.Service] = service
		}
	}
	// Traefik builds a middleware when a router has it.
	file := map[string]any{"middlewares": rest.Middlewares, "services": rest.Services}
	routers := map[string]any{}
	for name := range have.HTTP.Middlewares {
		if !used[name] {
			rest.Services["more"] = service
			routers["more-"+name] = map[string]any{"rule": "Host(`more.example.com`)", "service": "more", "middlewares": []string{name}}
		}
	}
	if len(routers) > 0 {
		file["routers"] = routers
	}
	more, err := yaml.Marshal(map[string]any{"http": nonempty(file)})
	if err != nil {
		return err
	}
	files := map[string]string{"block.yml": text}
	if len(rest.Middlewares)+len(rest.Services) > 0 {
		files["more.yml"] = string(more)
	}
	return serve(t, files, "", entryPoints)
}

func nonempty(m map[string]any) map[string]any {
	for name, value := range m {
		if inner, ok := value.(map[string]any); ok && len(inner) == 0 {
			delete(m, name)
		}
	}
	return m
}

var service = map[string]any{"loadBalancer": map[string]any{"servers": []any{map[string]any{"url": "http://127.0.0.1:1"}}}}

func plugin(options map[string]any) map[string]any {
	return map[string]any{"plugin": map[string]any{"traefikoidc": options}}
}

// loadOptions has Traefik build a middleware of each block's options, with those of
// base that it lacks. Their text stays as it is in the page, since Traefik executes
// templates in it.
func loadOptions(t *testing.T, parts []block) error {
	t.Helper()
	var text strings.Builder
	text.WriteString("http:\n  services:\n    app: {loadBalancer: {servers: [{url: \"http://127.0.0.1:1\"}]}}\n  middlewares:\n")
	var routers strings.Builder
	for i, b := range parts {
		for j, own := range optionsOf(t, b) {
			name := fmt.Sprintf("part-%d-%d", i, j)
			fmt.Fprintf(&text, "    %s: # %s:%d\n      plugin:\n        traefikoidc:\n", name, b.page, b.line)
			several := strings.Contains("\n"+own, "\nproviders:")
			for option, value := range base {
				if several && slices.Contains([]string{"providerURL", "clientID", "clientSecret"}, option) {
					continue // each entry of providers has its own
				}
				if !strings.Contains("\n"+own, "\n"+option+":") {
					fmt.Fprintf(&text, "          %s: %q\n", option, value)
				}
			}
			text.WriteString("          " + strings.ReplaceAll(strings.TrimSpace(own), "\n", "\n          ") + "\n")
			fmt.Fprintf(&routers, "    %s: {rule: \"Host(`%s`)\", service: app, middlewares: [%s]}\n", name, name, name)
		}
	}
	if routers.Len() == 0 {
		return nil
	}
	text.WriteString("  routers:\n" + routers.String())
	if err := serve(t, map[string]string{"parts.yml": text.String()}, "", nil); err != nil {
		return fmt.Errorf("%w\n%s", err, numbered(parts))
	}
	return nil
}

func numbered(parts []block) string {
	var all strings.Builder
	for i, b := range parts {
		fmt.Fprintf(&all, "part-%d is %s:%d\n", i, b.page, b.line)
	}
	return all.String()
}

// optionsOf are the options of the plugin in a block: the block itself, or those of
// its middlewares of Kubernetes.
func optionsOf(t *testing.T, b block) []string {
	t.Helper()
	if found, _ := kind(b); found == options {
		return []string{b.text}
	}
	all, err := documents(b.text)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, document := range all {
		for _, own := range below(document) {
			text, err := yaml.Marshal(own)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(text))
		}
	}
	return texts
}

// loadLabels has Traefik read the labels from a Docker with one container.
func loadLabels(t *testing.T, text string) error {
	t.Helper()
	var have struct{ Labels any }
	if err := yaml.Unmarshal([]byte(text), &have); err != nil {
		return err
	}
	return loadContainer(t, have.Labels)
}

var labelled = regexp.MustCompile(`^traefik\.http\.middlewares\.([^.]+)\.plugin\.traefikoidc\.(\w+)`)

func loadContainer(t *testing.T, written any) error {
	t.Helper()
	all := map[string]string{}
	switch written := written.(type) {
	case []any:
		for _, label := range written {
			name, value, ok := strings.Cut(fmt.Sprint(label), "=")
			if !ok {
				return fmt.Errorf("the label %v has no value", label)
			}
			all[name] = value
		}
	case map[string]any:
		for name, value := range written {
			all[name] = fmt.Sprint(value)
		}
	}
	have := map[string]map[string]bool{}
	entryPoints := []string{}
	for name, value := range all {
		if m := labelled.FindStringSubmatch(name); m != nil {
			if have[m[1]] == nil {
				have[m[1]] = map[string]bool{}
			}
			have[m[1]][m[2]] = true
		}
		if strings.HasSuffix(strings.ToLower(name), ".entrypoints") {
			entryPoints = append(entryPoints, strings.Split(value, ",")...)
		}
		all[name] = strings.ReplaceAll(value, "$$", "$") // Compose has two where it means one
	}
	for middleware, options := range have {
		for option, value := range base {
			if !options[option] {
				all["traefik.http.middlewares."+middleware+".plugin.traefikoidc."+option] = fmt.Sprint(value)
			}
		}
		router := "traefik.http.routers.more-" + middleware
		all[router+".rule"], all[router+".middlewares"] = "Host(`more.example.com`)", middleware
		all[router+".service"] = "more"
	}
	all["traefik.http.services.more.loadbalancer.server.port"] = "80"
	for name := range all {
		// With two services, Traefik does not choose one for a router.
		if router, ok := strings.CutSuffix(name, ".rule"); ok && all[router+".service"] == "" {
			all[router+".service"] = "more"
		}
	}
	return serve(t, nil, docker(t, all), entryPoints)
}

// docker is a Docker with one container, as much of it as Traefik requests.
func docker(t *testing.T, labels map[string]string) string {
	t.Helper()
	container := map[string]any{
		"Id": "1", "Name": "/app", "Names": []string{"/app"}, "State": map[string]any{"Status": "running", "Running": true}, "Config": map[string]any{"Labels": labels},
		"HostConfig":      map[string]any{"NetworkMode": "default"},
		"NetworkSettings": map[string]any{"Ports": map[string]any{"80/tcp": nil}, "Networks": map[string]any{"default": map[string]any{"IPAddress": "127.0.0.1"}}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.44")
		w.Header().Set("Content-Type", "application/json")
		var body any
		switch {
		case strings.HasSuffix(r.URL.Path, "/version"):
			body = map[string]any{"Version": "25.0.0", "ApiVersion": "1.44"}
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			body = []any{map[string]any{"Id": "1", "Names": []string{"/app"}, "State": "running", "Labels": labels}}
		case strings.HasSuffix(r.URL.Path, "/containers/1/json"):
			body = container
		case strings.HasSuffix(r.URL.Path, "/events"):
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		default:
			body = "OK"
		}
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return "tcp://" + server.Listener.Addr().String()
}

var environment = regexp.MustCompile(`\$\{([A-Z][A-Z0-9_]*)\}`)

// secretFile is a file that a pod mounts.
var secretFile = regexp.MustCompile(`file:/[\w/.-]+`)

// serve starts Traefik with files of dynamic configuration or a Docker, and returns
// nil once each router and middleware is enabled.
func serve(t *testing.T, files map[string]string, docker string, entryPoints []string) error {
	t.Helper()
	dir := t.TempDir()
	api := freeAddress(t)
	points := map[string]any{"traefik": address(api), "web": address("127.0.0.1:0")}
	for _, name := range entryPoints {
		points[name] = address("127.0.0.1:0")
	}
	providers := map[string]any{"providersThrottleDuration": "20ms"}
	if docker != "" {
		providers["docker"] = map[string]any{"endpoint": docker}
	} else {
		providers["file"] = map[string]any{"directory": "dynamic"}
	}
	config := map[string]any{
		"log": map[string]any{"level": "INFO", "noColor": true}, "api": map[string]any{"insecure": true, "dashboard": false}, "entryPoints": points, "providers": providers,
		"experimental": map[string]any{
			"abortOnPluginFailure": true, "localPlugins": map[string]any{"traefikoidc": map[string]any{"moduleName": traefiktest.Module}},
		},
	}
	var env []string
	for name, text := range files {
		for _, m := range environment.FindAllStringSubmatch(text, -1) {
			env = append(env, m[1]+"="+key)
		}
		text = secretFile.ReplaceAllString(text, "file:"+filepath.Join(dir, "secret"))
		write(t, filepath.Join(dir, "dynamic", name), text)
	}
	if docker != "" {
		env = append(env, "OIDC_CLIENT_SECRET="+key, "OIDC_SESSION_KEY="+key, "REDIS_PASSWORD="+key)
	}
	write(t, filepath.Join(dir, "secret"), key)
	traefik, err := start(t, dir, config, env)
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
		if log := traefik.LastLines(); strings.Contains(log, " ERR ") {
			return fmt.Errorf("traefik reports: %s", errorsOf(log))
		}
		if enabled("http://" + api) {
			return nil
		}
	}
	return fmt.Errorf("not served: %s", traefik.LastLines())
}

func errorsOf(log string) string {
	lines := strings.Split(log, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, " ERR ") }), "\n")
}

// enabled reports whether Traefik serves routers with middlewares of the
// configuration, all of them without an error.
func enabled(api string) bool {
	res, err := http.Get(api + "/api/rawdata")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	type state struct{ Status string }
	var data struct{ Routers, Middlewares map[string]state }
	if res.StatusCode != http.StatusOK || json.NewDecoder(res.Body).Decode(&data) != nil {
		return false
	}
	found := 0
	for _, all := range []map[string]state{data.Routers, data.Middlewares} {
		for name, one := range all {
			if strings.HasSuffix(name, "@internal") {
				continue
			}
			if one.Status != "enabled" {
				return false
			}
			found++
		}
	}
	return found >= 2
}

func address(s string) map[string]any { return map[string]any{"address": s} }

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

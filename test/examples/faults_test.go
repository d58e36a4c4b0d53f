package examples

import (
	"strings"
	"testing"
)

// A configuration of any kind is refused if it has a fault.
func TestConfigurationsWithFaults(t *testing.T) {
	labels := func(more string) string {
		return "labels:\n  - traefik.http.routers.app.middlewares=a\n  - traefik.http.routers.app.rule=Host(`a`)\n" +
			"  - traefik.http.middlewares.a.plugin.traefikoidc.clientID=app\n  - " + more
	}
	middleware := "apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata:\n  name: a\n"
	for _, c := range []struct{ name, text, reason string }{
		{"dynamic, a field of a router", "http:\n  routers:\n    a: {rule: Host(`a`), service: b, entrypoint: [web]}", "entrypoint"},
		{"dynamic, a rule", "http:\n  routers:\n    a: {rule: Hosts(`a`), service: b}", "Hosts"},
		{"dynamic, an option", "http:\n  middlewares:\n    a: {plugin: {traefikoidc: {providerUrls: x}}}", "providerUrls"},
		{"labels, a field of a router", labels("traefik.http.routers.app.entrypoint=web"), "entrypoint"},
		{"labels, an option", labels("traefik.http.middlewares.a.plugin.traefikoidc.allowedGroups=staff"), "allowedGroups"},
		{"static, a field", "entryPoints:\n  web: {adress: \":80\"}", "adress"},
		{"static, a plugin", "experimental:\n  abortOnPluginFailure: true\n  localPlugins:\n    a: {moduleName: example.com/a}", "example.com/a"},
		{"compose, a flag", "services:\n  traefik: {image: \"traefik:v3.7\", command: [--entryPoint.web.address=:80]}", "entryPoint"},
		{"compose, a label", "services:\n  app: {image: app, labels: [traefik.http.routers.app.rules=x, traefik.http.middlewares.a.plugin.traefikoidc.clientID=app]}", "rules"},
		{"helm, a path", "deployment: {}\nexperimental:\n  localPlugins:\n    a: {moduleName: a, mountPath: /plugins/a}", "/plugins/a"},
		{"helm, a volume", "deployment: {}\nexperimental:\n  localPlugins:\n    a: {moduleName: a, mountPath: /plugins-local/src/a, type: localPath, volumeName: b}", `"b"`},
		{"kubernetes, a field", middleware + "  names: b\nspec: {}", "names"},
		{"kubernetes, a plugin", middleware + "spec: {plugin: {oidc: {clientID: app}}}", "traefikoidc"},
		{"kubernetes, an option", middleware + "spec: {plugin: {traefikoidc: {clientId: app, allowedGroups: [staff]}}}", "allowedGroups"},
		{"options, a value", "cacheMode: hybrids", "cacheMode"},
		{"options, below one", "redis: {enabled: true, adress: \"redis:6379\"}", "adress"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := load(t, block{page: "page.md", language: "yaml", text: c.text})
			if err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("%v, want an error with %s", err, c.reason)
			}
		})
	}
}

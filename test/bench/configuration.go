package main

import (
	"fmt"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// static returns Traefik's static configuration. Traefik's own figures have an entry
// point apart from the traffic.
func (g *rig) static() string {
	var b strings.Builder
	fmt.Fprintf(&b, `global: {checkNewVersion: false, sendAnonymousUsage: false}
entryPoints:
  web: {address: "%s"}
  traefik: {address: "%s"}
api: {insecure: true, debug: true, dashboard: false}
log: {level: ERROR, noColor: true}
providers:
  providersThrottleDuration: 50ms
  file: {filename: dynamic.yml, watch: true}
`, g.site, g.internal)
	if len(g.plugins()) == 0 {
		return b.String()
	}
	b.WriteString("experimental:\n  abortOnPluginFailure: true\n  localPlugins:\n")
	for module := range g.plugins() {
		name := module[strings.LastIndex(module, "/")+1:]
		fmt.Fprintf(&b, "    %s: {moduleName: %s}\n", name, module)
	}
	return b.String()
}

// configure writes Traefik's dynamic configuration. Each generation changes the
// options of every plugin unless the rig is steady. The path /NAME/generation/N
// responds without a sign-in once the generation applies.
func (g *rig) configure(generation int) error {
	var routers, middlewares strings.Builder
	for _, s := range g.subjects {
		rule := fmt.Sprintf("PathPrefix(`%s`) && !PathPrefix(`%[1]s/generation`) || Path(`%[1]s/generation/%d`)", s.path(), generation)
		fmt.Fprintf(&routers, "    %s:\n      rule: %q\n      service: backend\n", s.path()[1:], rule)
		if s.Plugin == "" {
			continue
		}
		fmt.Fprintf(&routers, "      middlewares: [%s]\n", s.Plugin)
		for n := range g.more {
			fmt.Fprintf(&routers, "    %s-%d:\n      rule: \"Host(`%d.example.test`)\"\n      service: backend\n      middlewares: [%s]\n", s.path()[1:], n, n, s.Plugin)
		}
		fmt.Fprintf(&middlewares, "    %s:\n      plugin:\n        %[1]s:\n%s", s.Plugin, g.options(s, generation))
	}
	text := "http:\n  routers:\n" + routers.String()
	if middlewares.Len() > 0 {
		text += "  middlewares:\n" + middlewares.String()
	}
	text += fmt.Sprintf("  services:\n    backend: {loadBalancer: {servers: [{url: %q}]}}\n", g.backend.URL)
	if g.more > 0 {
		text += "tls: {stores: {default: {defaultCertificate: {certFile: default.pem, keyFile: default.pem}}}}\n"
	}
	return g.write("dynamic.yml", text)
}

func (g *rig) options(s subject, generation int) string {
	public := fmt.Sprintf("%s/generation/%d", s.path(), generation)
	if g.steady {
		public = s.path() + "/generation"
	}
	if s.Plugin == noop.Plugin {
		return fmt.Sprintf("          generation: %q\n", public)
	}
	return fmt.Sprintf(`          providerURL: %s
          clientID: client
          clientSecret: secret
          callbackURL: %s/callback
          sessionEncryptionKey: %s
          forceHTTPS: false
          allowPrivateIPAddresses: true
          excludedURLs: [%s]
`, g.provider.URL(), s.path(), key, public)
}

// key is a new key in each run, because a key in these sources would be public.
var key = oidctest.NewSecret()

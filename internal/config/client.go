package config

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// client reads the client's identity at the provider.
func (r *reader) client(c *Config) Client {
	x := Client{
		Secret:         r.optionalSecret("clientSecret", c.ClientSecret),
		AssertionKeyID: r.text("clientAssertionKeyID", c.ClientAssertionKeyID),
	}
	if c.ClientID != "" || !c.DynamicClientRegistration.Enabled {
		x.ID = r.required("clientID", c.ClientID, "the name that the provider knows this site by")
	}
	if strings.ContainsAny(x.Secret, "\r\n\x00") {
		r.problem("clientSecret", "has a line break or a NUL in it")
	}
	x.AssertionAlg = r.choice("clientAssertionAlg", c.ClientAssertionAlg, "", oidc.AssertionAlgorithms())
	x.AssertionKey = r.assertionKey(c, x.AssertionAlg)
	x.AuthMethod = r.authMethod(c, x)
	return x
}

// authMethod reads clientAuthMethod and checks that its secret or key is set.
func (r *reader) authMethod(c *Config, x Client) string {
	const option = "clientAuthMethod"
	method := r.choice(option, c.ClientAuthMethod, "", []string{"client_secret_basic", "client_secret_post",
		"client_secret_jwt", "private_key_jwt", "tls_client_auth", "none"})
	switch {
	case method == "" && c.ClientSecret == nil && c.ClientAssertionPrivateKey == nil && c.ClientAssertionPrivateKeyPath == "":
		return "none"
	case strings.HasPrefix(method, "client_secret_") && c.ClientSecret == nil:
		r.problem(option, method+" needs clientSecret")
	case method == "private_key_jwt" && x.AssertionKey == "":
		r.problem(option, "private_key_jwt needs clientAssertionPrivateKey or clientAssertionPrivateKeyPath")
	case method == "none" && c.ClientSecret != nil:
		r.problem(option, "none leaves clientSecret without a use; leave one of them out")
	}
	return method
}

// assertionKey reads the private key that signs client assertions with alg.
func (r *reader) assertionKey(c *Config, alg string) string {
	option := "clientAssertionPrivateKey"
	text := r.optionalSecret(option, c.ClientAssertionPrivateKey)
	if path := r.keyPath(c.ClientAssertionPrivateKeyPath); path != "" {
		if c.ClientAssertionPrivateKey != nil {
			r.problem("clientAssertionPrivateKeyPath", "clientAssertionPrivateKey is given too; leave one of them out")
			return ""
		}
		option = "clientAssertionPrivateKeyPath"
		text = r.file(option, path, maxSecret)
	}
	if text == "" {
		return ""
	}
	if _, err := oidc.ParseAssertionKey(text, "", alg); err != nil {
		r.problem(option, err.Error())
		return ""
	}
	return text
}

// keyPath reads clientAssertionPrivateKeyPath. A path that is empty after expansion is
// a problem, because without its key this would be a public client.
func (r *reader) keyPath(raw string) string {
	const option = "clientAssertionPrivateKeyPath"
	before := len(r.problems)
	path := r.text(option, raw)
	if raw != "" && path == "" && len(r.problems) == before {
		r.problem(option, "is empty; leave it out if none is meant")
	}
	return path
}

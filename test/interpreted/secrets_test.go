package interpreted

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func TestSecretsAreSecrets(t *testing.T) {
	s := newSite(t, setup{})
	for _, row := range []struct {
		name    string
		options map[string]any
		want    string
	}{
		{"L22 a template as the session key", map[string]any{"sessionEncryptionKey": `{{ env "TRAEFIK_OIDC_SESSION_KEY" }}`}, "sessionEncryptionKey: is a template"},
		{"L22 a template in a list of session keys", map[string]any{"sessionEncryptionKey": []any{key, `{{ env "TRAEFIK_OIDC_SESSION_KEY" }}`}}, "sessionEncryptionKey[1]: is a template"},
		{"L22 another tool's variable", map[string]any{"clientSecret": "${oidc_client_secret}"}, "clientSecret: is a variable"},
		{"L22 a reference of a password manager", map[string]any{"clientSecret": "op://vault/oidc/secret"}, "clientSecret: is a reference"},
		{"L22 an encrypted value", map[string]any{"clientSecret": "ENC[AES256_GCM,data:x]"}, "clientSecret: is an encrypted value"},
		{"L22 a Kubernetes secret", map[string]any{"clientSecret": "urn:k8s:secret:oidc:secret"}, "clientSecret: is a reference to a Kubernetes secret"},
		{"L22 the path of a file", map[string]any{"sessionEncryptionKey": "/run/secrets/oidc/session-encryption-key"}, "sessionEncryptionKey: is the path of a file"},
		{"L22 a placeholder", map[string]any{"redis": map[string]any{"enabled": true, "address": "redis:6379", "password": "<your-redis-password>"}}, "redis.password: is a placeholder"},
		{"L22 a published key", map[string]any{"sessionEncryptionKey": "OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w="}, "sessionEncryptionKey: is an example"},
		{"L22 an empty secret", map[string]any{"clientSecret": ""}, "clientSecret: is empty"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if text := s.refusedOptions(row.options); !strings.Contains(text, row.want) {
				t.Errorf("%s", text)
			}
		})
	}
	t.Run("L22 a random key that begins with a slash", func(t *testing.T) {
		if text, taken := s.tried(map[string]any{"sessionEncryptionKey": "/" + strings.ToUpper(oidctest.NewSecret())}); !taken {
			t.Error(text)
		}
	})
	t.Run("L21 a secret of a file is not written into the options", func(t *testing.T) {
		secret := oidctest.NewSecret()
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		options := optionsFor(s.provider)
		for _, name := range []string{"clientSecret", "sessionEncryptionKey"} {
			options[name] = "file:" + path
		}
		options["redis"] = map[string]any{"address": "redis:6379", "password": "file:" + path}
		m, err := s.plugin.Middleware(t.Name(), options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if _, err := m.Handler(ctx, http.NotFoundHandler()); err != nil {
			t.Fatal(err)
		}
		if text := m.Options(); strings.Contains(text, secret) || strings.Count(text, "file:"+path) != 3 {
			t.Error("the options hold the secret, or not its path")
		}
	})
}

package config

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

// unresolved are references of many tools that nothing replaced, and placeholders.
var unresolved = map[string][]string{
	"a template": {`%{OIDC_SESSION_KEY}`, `%{env:OIDC_SESSION_KEY}%`, `{{ env "TRAEFIK_OIDC_SESSION_KEY" }}`, `{{env "X"}}`, `{{ .Values.oidc.sessionKey }}`, `${{ secrets.OIDC_SESSION_KEY }}`,
		`prefix-{{ keyOrDefault "a/b" "c" }}`, "{{- with secret \"kv/oidc\" -}}\n{{ .Data.key }}\n{{- end }}", `<%= ENV["OIDC_SESSION_KEY"] %>`, `{% raw %}key{% endraw %}`,
		`[[ env "OIDC_SESSION_KEY" ]]`, `((oidc-session-key))`, `#{OidcSessionKey}#`, `#{OidcSessionKey}`, `'{{ env "X" }}'`, `{{resolve:secretsmanager:oidc:SecretString:key}}`},
	"a variable": {`${oidc_session_key}`, `${oidc.session.key}`, `${OIDC_SESSION_KEY:-}`, `${OIDC_SESSION_KEY:?must be set}`, `${OIDC_SESSION_KEY-default}`,
		`${env:OIDC_SESSION_KEY}`, `${file:/run/secrets/key}`, `${var.oidc_session_key}`, `${ssm:/prod/oidc~true}`, `${vault:secret/data/oidc#key}`, `prefix-${session_key}`,
		`$(OIDC_SESSION_KEY)`, `$(cat /run/secrets/key)`, `$OIDC_SESSION_KEY`, `$oidc_session_key`, `$oidcSessionKey`, `$env:OIDC_SESSION_KEY`, `$[variables.key]`,
		`$$OIDC_SESSION_KEY`, `\$OIDC_SESSION_KEY`, `prefix-$(OIDC_SESSION_KEY)`, `%(OIDC_SESSION_KEY)s`, `$ENV{OIDC_SESSION_KEY}`, `$__env{OIDC_SESSION_KEY}`, `$__file{/run/secrets/key}`, `%env(OIDC_SESSION_KEY)%`, `%env(resolve:OIDC_SESSION_KEY)%`, `%OIDC_SESSION_KEY%`, `%%OIDC_SESSION_KEY%%`,
		`@OIDC_SESSION_KEY@`, `@@session.key@@`, `__OIDC_SESSION_KEY__`, `__session_key__`},
	"an expression": {`os.environ["OIDC_SESSION_KEY"]`, `process.env['OIDC_SESSION_KEY']`, `ENV["OIDC_SESSION_KEY"]`, `ENV.fetch("OIDC_SESSION_KEY")`, `{"Ref":"OidcSessionKey"}`, `{ "Fn::Sub": "a" }`,
		`{"secretKeyRef":{"name":"oidc","key":"session"}}`, `{"name":"oidc","key":"session"}`,
		`getenv("OIDC_SESSION_KEY")`, `env('OIDC_SESSION_KEY')`, `os.getenv("OIDC_SESSION_KEY")`, `lookup('env', 'OIDC_SESSION_KEY')`, `process.env.OIDC_SESSION_KEY`,
		`env.OIDC_SESSION_KEY`, `secrets.OIDC_SESSION_KEY`, `var.oidc_session_key`, `.Values.oidc.sessionKey`, `@Microsoft.KeyVault(SecretUri=https://a.vault.azure.net/secrets/key)`,
		`!secret oidc_session_key`, `!Ref OidcSessionKey`, "!vault |\n$ANSIBLE_VAULT;1.1;AES256", `map[secretKeyRef:map[key:session name:oidc]]`, "`cat /run/secrets/oidc`"},
	"a reference to a store": {`secret/data/oidc#key`, `kv/data/oidc/session`, `secretsmanager:oidc/session`, `aws-sm:oidc`, `hcvault:secret/oidc`, `keyring:oidc`, `bitwarden:oidc`, `@file:/run/secrets/key`, `@/run/secrets/key`,
		`op://vault/oidc/session-key`, `vault:secret/data/oidc#key`, `>>vault:secret/data/oidc#key`, `ref+vault://secret/oidc#/key`, `ref+awsssm://oidc/key`, `ref+sops://f.yml#/a`,
		`secret://oidc/key`, `vault://secret/oidc`, `awssm://oidc`, `gcpsm://projects/p/secrets/s`, `azkv://vault/key`, `sm://project/key`, `env://OIDC_SESSION_KEY`, `https://vault.example/v1/secret`,
		`arn:aws:secretsmanager:eu-central-1:123456789012:secret:oidc-AbCdEf`, `arn:aws:ssm:eu-central-1:123456789012:parameter/oidc`, `projects/example/secrets/oidc/versions/latest`,
		`//secretmanager.googleapis.com/projects/1/secrets/oidc`, `projects/1/locations/eu/secrets/oidc`, `keyvaultref:https://a.vault.azure.net/secrets/key`, `secretref:oidc-session-key`, `env:OIDC_SESSION_KEY`,
		`file:secrets/session-key`, `File:/run/secrets/session-key`, `secret:oidc:session`, `ssm:/prod/oidc/session`, `exec:/usr/bin/print-key`, `conjur:var:oidc`},
	"an encrypted value": {`ENC{Zm9vYmFyYmF6cXV4}`, `{AES}Zm9vYmFyYmF6cXV4`, "-----BEGIN PKCS7-----\nMIIB\n", `ENC[AES256_GCM,data:abc=,iv:def=,tag:ghi=,type:str]`, `ENC[PKCS7,MIIBiQYJKoZIhvcNAQcDoIIBejCCAXYCAQAx]`, `ENC(Zm9vYmFyYmF6cXV4)`, `{cipher}682bc583f4641835fa2db009355293665d2647dade3375c0ee201de2a49f7bda`,
		`$ANSIBLE_VAULT;1.1;AES256`, "-----BEGIN PGP MESSAGE-----\nwcBMA\n", "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n"},
	"a Kubernetes secret": {`urn:k8s:secret:oidc-session:encryption`, `urn:k8s:secret:a:b`},
	"a placeholder": {`<your-secret>`, `<from openssl rand -base64 32>`, `<<SESSION-KEY>>`, `<no value>`, `<nil>`, `[your session key]`, `[object Object]`, `{session_key}`, `<dein Schlüssel>`, `<...>`,
		`changeme`, `CHANGE_ME`, `change-me-please`, `Changeme123!`, `changeit`, `replace-me`, `REPLACE_WITH_YOUR_REDIS_PASSWORD`, `your-client-secret`, `YOUR_CLIENT_SECRET`, `yourredispassword`,
		`your-client-secret-from-provider-value`, `insert-your-secret-here`, `enter_client_secret_here`, `secret-here`, `TODO`, `(sensitive value)`, `(known after apply)`, `(redacted)`, `null`, `undefined`, `None`, `xxxxxxxxxxxxxxxx`, `********`, `...`, `REDACTED`,
		base64.StdEncoding.EncodeToString([]byte("changeme")), base64.StdEncoding.EncodeToString([]byte(`{{ env "OIDC_SESSION_KEY" }}`)), hex.EncodeToString([]byte("change this password to a secret"))},
	"a path": {`/run/secrets/oidc-session-key`, `/secret.txt`, `/a/b`, `/run/secrets/OIDC_SESSION_KEY`, `/etc/traefik/Session.key`, `./session.key`, `../secrets/session`, `~/session-key`, `C:\secrets\session.key`, `/there`},
}

// secretOptions are the options with secrets, each with the options that it requires.
var secretOptions = map[string]o{
	"sessionEncryptionKey": nil, "clientSecret": nil, "clientAssertionPrivateKey": nil, "redis.password": nil,
	"redis.sentinelPassword": {"redis.password": "p"}, "dynamicClientRegistration.initialAccessToken": nil,
}

func TestUnresolvedReferences(t *testing.T) {
	files := map[string]string{"/there": "x", "/mounted": ""}
	for kind, texts := range unresolved {
		t.Run("L22 F13 "+kind, func(t *testing.T) {
			for _, text := range texts {
				for option, more := range secretOptions {
					c := minimal()
					for name, value := range more {
						set(t, c, name, value)
					}
					set(t, c, option, text)
					checkUnresolved(t, c, environment(nil, files), option, text)
				}
			}
		})
		t.Run("L22 "+kind+" elsewhere", func(t *testing.T) {
			for _, text := range texts {
				c := minimal()
				c.SessionEncryptionKey = []any{goodKey, text}
				checkUnresolved(t, c, environment(nil, files), "sessionEncryptionKey[1]", text)
				c = minimal()
				c.ClientSecret = "${VARIABLE}"
				checkUnresolved(t, c, environment(map[string]string{"VARIABLE": text}, files), "clientSecret", text)
				c.ClientSecret = "file:/mounted"
				files["/mounted"] = text + "\n"
				checkUnresolved(t, c, environment(nil, files), "clientSecret", text)
				c = minimal()
				c.Redis.Address = "redis:6379"
				checkUnresolved(t, c, environment(map[string]string{"REDIS_ENABLED": "true", "REDIS_PASSWORD": text}, files), "redis.password", text)
			}
		})
	}
}

// checkUnresolved checks that the error names the option and the remedy, and does
// not show the text.
func checkUnresolved(t *testing.T, c *Config, env Environment, option, text string) {
	t.Helper()
	_, err := Parse(c, env)
	if err == nil {
		t.Errorf("%s: %q is accepted", option, text)
		return
	}
	if !strings.Contains(err.Error(), option+": ") || !strings.Contains(err.Error(), "file:") {
		t.Errorf("%s: %q gives %v", option, text, err)
	}
	if len(text) > 12 && strings.Contains(err.Error(), text) {
		t.Errorf("%s: the error shows %q", option, text)
	}
}

func TestEmptySecrets(t *testing.T) {
	runProblems(t, []problemRow{
		{"L22 clientSecret that is written and empty", o{"clientSecret": ""}, "clientSecret: is empty; leave it out"},
		{"L22 clientSecret of spaces", o{"clientSecret": "  "}, "clientSecret: is empty; leave it out"},
		{"L22 clientSecret of an empty variable", o{"clientSecret": "${EMPTY}"}, "clientSecret: is empty; leave it out"},
		{"L22 clientAssertionPrivateKey that is written and empty", o{"clientSecret": nil, "clientAssertionPrivateKey": ""}, "clientAssertionPrivateKey: is empty; leave it out"},
		{"L22 clientAssertionPrivateKeyPath of an empty variable", o{"clientSecret": nil, "clientAssertionPrivateKeyPath": "${EMPTY}"}, "clientAssertionPrivateKeyPath: is empty; leave it out"},
		{"clientSecret that is left out", o{"clientSecret": nil}, ""},
		{"clientSecret of digits", o{"clientSecret": 12345678}, ""},
		{"clientSecret of more digits than a number keeps", o{"clientSecret": 1.2345678901234567e+17}, "clientSecret: must be a text: write it in quotes"},
		{"clientSecret that is a map", o{"clientSecret": o{"secretKeyRef": "x"}}, "clientSecret: must be a text"},
	}, environment(map[string]string{"EMPTY": ""}, nil))
}

// A public secret is refused, in every option.
func TestPublishedSecrets(t *testing.T) {
	for name, texts := range map[string]string{
		"the manifest of this plugin": "birCadC14b7InolTxkd9srtMelAxGLhI Vn4Qy8Tk2Jb6Wd9Lx3Rz",
		"tests of this plugin": "q3Zt8Lw0VxUeR5yHs1KdJm7CbPnGf2Ao Zk7Rb2Qe9Wn4Xs1Vd8Ty3Ug6Hj5Lm0Pa Xk3vN8qLr5TzB1wYc7HdJm0PfSgUa2Ei " +
			"pQ9sLw2ZrE7vXn4MkTb8GyHc3JfAu6Di q7WfZ2hRk9LxC4vTb8NsYd3GmJ6pAe5U 4f1e7c92b05ad86133c8e90fa27b64d1",
		"the default of traefik-oidc-auth": "MLFs4TT99kOOq8h3UAVRtYoCTDYXiRcZ",
		"oauth2-proxy": "OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w= OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w " +
			"OQINaROshtE9TcZkNAm5Zs2Pv3xaWytBmc5W7sPX7ws= DZ_GFz3zd7lv-7lGY97lblCJE8P1YaKe2bjVqZCU6ew=",
		"Pomerium":                    "tdkuWzUelRukP/6VYzopfh6kis7y5u5Ldl3MrIq9ZR0= wC4RFsEdM1gHFzvRt3XW+iWw6Ddt/1kKkdh66OKxiqs=",
		"lua-resty-session":           "623q4hR325t36VsCD3g567922IC0073T",
		"caddy-security":              "01ee2688-36e4-47f9-8c06-d18483702520",
		"FastAPI, Spring, Flask":      "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7 404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970 192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
		"RFC 7515, appendix A.1":      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
		"a cipher example of Go":      "6368616e676520746869732070617373776f726420746f206120736563726574",
		"the existing plugin":         "potato-secret-is-at-least-32-bytes-long your-64-character-encryption-key-here-keep-it-secret prod-encryption-key-64-chars-long-keep-it-secret-and-safe",
		"more of the existing plugin": "secure-64-character-encryption-key-for-production-use-only hybrid-mode-encryption-key-64-characters-long-and-secure kubernetes-64-character-session-encryption-key-keep-secret",
		"mod_auth_openidc":            "some-random-string-for-encrypting-cookies a-random-secret-used-by-apache-oidc-and-balancer",
		"jwt.io":                      "a-string-secret-at-least-256-bits-long",
		"tutorials":                   "thisis32bitlongpassphraseimusing passphrasewhichneedstobe32bytes! the-key-has-to-be-32-bytes-long!",
	} {
		t.Run("L22 F13 "+name, func(t *testing.T) {
			for _, text := range strings.Fields(texts) {
				c := minimal()
				c.SessionEncryptionKey = []any{goodKey, text}
				wantProblem(t, c, Environment{}, "sessionEncryptionKey[1]: ")
				if isPublished(text) {
					c = minimal()
					c.ClientSecret = text
					wantProblem(t, c, Environment{}, "clientSecret: is an example that everybody can read")
					c = minimal()
					c.Redis.Password = text
					wantProblem(t, c, Environment{}, "redis.password: is an example that everybody can read")
				}
			}
		})
	}
	c := minimal()
	c.SessionEncryptionKey = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("q3Zt8Lw0", 5)))
	wantProblem(t, c, Environment{}, "sessionEncryptionKey: hides a text that is easy to guess")
}

// Secrets that only resemble references are accepted.
func TestSecretsThatResembleReferences(t *testing.T) {
	rows := strings.Fields(`/aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7kL9n= /xY+zA/bC secret client-secret s3cr3t p$${X}w a$b%c{d}e<f>g[h]i 5%OFF%now $2y$10$N9qo8uLOickgx2ZMRZoMye
		abc8Q~aBcDeFgHiJkLmNoPqRsTuVwXyZ.0123 GOCSPX-aBcDeFgHiJkLmNoPqRsTuVwXyZ01 correct-horse-battery-staple redis-password key:with:colons my_secret_key_8f3k2j1x
		https a://b {x}y <x>y @home ENCyclopedia vaultage ref-1234 hunter2 !important vault/2024 %41%42 $2b$x$y p$$w {a"b} env[x __init data ...a 0x1234 your-9f8e7d6c5b4a`)
	for _, text := range rows {
		c := minimal()
		c.ClientSecret = text
		if _, err := Parse(c, environment(nil, nil)); err != nil && text != "a://b" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// No random secret is taken for a reference, a path, a placeholder or a weak key.
func TestRandomSecretsPass(t *testing.T) {
	n := 1500 // with the spellings 13,500
	if testing.Short() {
		n = 500
	}
	r := &reader{env: environment(nil, nil)}
	alphanumeric := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for i := 0; i < n; i++ {
		b := make([]byte, 32)
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
		letters := make([]byte, 32)
		for j := range letters {
			letters[j] = alphanumeric[int(b[j])%len(alphanumeric)]
		}
		for _, key := range []string{
			base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b), base64.StdEncoding.EncodeToString(b[:24]),
			hex.EncodeToString(b), hex.EncodeToString(b[:16]), base32.StdEncoding.EncodeToString(b), string(letters), new(big.Int).SetBytes(b).String(),
			"/" + base64.StdEncoding.EncodeToString(b)[1:],
		} {
			if len(r.keys(key)) != 1 {
				t.Fatalf("%q: %v", key, r.problems)
			}
		}
	}
}

// Passwords of any printable characters are hardly ever taken for one.
func TestRandomPasswordsPass(t *testing.T) {
	refused := 0
	for i := 0; i < 20000; i++ {
		b := make([]byte, 8+i%40)
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
		for j := range b {
			b[j] = '!' + b[j]%94
		}
		if referenceFault(string(b)) != "" {
			refused++
		}
	}
	if refused > 10 {
		t.Errorf("%d of 20,000 passwords were refused", refused)
	}
}

// The options stay as they were written: Traefik shows them.
func TestSecretsAreNotWrittenBack(t *testing.T) {
	secret := goodKey
	env := environment(map[string]string{"SECRET": secret}, map[string]string{"/secret": secret})
	for _, reference := range []string{"file:/secret", "${SECRET}"} {
		t.Run("L21 "+reference, func(t *testing.T) {
			build := func() *Config {
				c := minimal()
				c.ClientSecret = reference
				c.SessionEncryptionKey = []any{reference}
				c.Redis.Address = "redis:6379"
				c.Redis.Password = reference
				return c
			}
			c := build()
			s, err := Parse(c, env)
			if err != nil {
				t.Fatal(err)
			}
			if s.Client.Secret != secret || string(s.Session.Keys[0]) != secret || s.Redis.Password != secret {
				t.Error("a reference was not replaced in the settings")
			}
			if !reflect.DeepEqual(c, build()) {
				t.Error("the options hold the secret")
			}
		})
	}
}

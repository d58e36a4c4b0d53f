package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestOptionNames(t *testing.T) {
	rows := map[string]string{
		"ProviderURL": "providerURL", "OIDCEndSessionURL": "oidcEndSessionURL", "IDTokenSigningAlgs": "idTokenSigningAlgs",
		"CACertPEM": "caCertPEM", "JwksURL": "jwksURL", "CORSMaxAge": "corsMaxAge", "DB": "db", "TLS": "tls", "L1TTL": "l1TTL",
	}
	for field, want := range rows {
		if got := optionName(field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	for _, level := range []any{Config{}, HeaderOptions{}, AccessRuleOptions{}, ProviderOptions{}, SecurityHeadersOptions{}, RegistrationOptions{}, RedisOptions{}, RedisTLSOptions{}} {
		typ := reflect.TypeOf(level)
		if n := len(optionNames(level)); n != typ.NumField()-1 {
			t.Errorf("%s has %d options, want all fields but Extra", typ.Name(), n)
		}
		if extra := typ.Field(typ.NumField() - 1); extra.Tag != `mapstructure:",remain"` {
			t.Errorf("%s does not collect unknown options", typ.Name())
		}
	}
}

func TestRedisVariables(t *testing.T) {
	rows := map[string]string{
		"address": "REDIS_ADDRESS", "db": "REDIS_DB", "keyPrefix": "REDIS_KEY_PREFIX", "tls.caFile": "REDIS_TLS_CA_FILE",
		"enableTLS": "REDIS_ENABLE_TLS", "tlsSkipVerify": "REDIS_TLS_SKIP_VERIFY", "hybridL1Size": "REDIS_HYBRID_L1_SIZE",
		"hybridL1MemoryMB": "REDIS_HYBRID_L1_MEMORY_MB", "l1TTL": "REDIS_L1_TTL",
	}
	o, d := RedisOptions{}, redisDefaults()
	found := 0
	for _, s := range redisSettings(&o, &d) {
		if want, ok := rows[s.option]; ok {
			found++
			if s.variable != want {
				t.Errorf("%s has the variable %s, want %s", s.option, s.variable, want)
			}
		}
	}
	if found != len(rows) {
		t.Errorf("%d of %d options of redis are settings", found, len(rows))
	}
}

func TestUnknownOptions(t *testing.T) {
	rows := []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.Extra = map[string]any{"sesionMaxAge": 1} }, "sesionMaxAge: there is no such option; did you mean sessionMaxAge?"},
		{func(c *Config) { c.Extra = map[string]any{"client_id": 1} }, "client_id: there is no such option; did you mean clientID?"},
		{func(c *Config) { c.Extra = map[string]any{"poolSize": 1} }, "poolSize: there is no such option; did you mean redis.poolSize?"},
		{func(c *Config) { c.Extra = map[string]any{"zzz": 1} }, "zzz: there is no such option"},
		{func(c *Config) { c.Extra = map[string]any{"a\nb": 1} }, `"a\nb": there is no such option`},
		{func(c *Config) { c.Redis.Extra = map[string]any{"adress": 1} }, "redis.adress: there is no such option; did you mean redis.address?"},
		{func(c *Config) { c.Redis.TLS.Extra = map[string]any{"minversions": 1} }, "redis.tls.minversions: there is no such option; did you mean redis.tls.minVersion?"},
		{func(c *Config) { c.SecurityHeaders.Extra = map[string]any{"frameOption": 1} }, "securityHeaders.frameOption: there is no such option; did you mean securityHeaders.frameOptions?"},
		{func(c *Config) { c.DynamicClientRegistration.Extra = map[string]any{"enable": 1} }, "dynamicClientRegistration.enable: there is no such option; did you mean dynamicClientRegistration.enabled?"},
		{func(c *Config) { c.DynamicClientRegistration.ClientMetadata = map[string]any{"clientNam": "x"} }, "dynamicClientRegistration.clientMetadata.clientNam: there is no such option; did you mean dynamicClientRegistration.clientMetadata.client_name?"},
		{func(c *Config) {
			c.Headers = []HeaderOptions{{Name: "X-A", Value: "v", Extra: map[string]any{"val": 1}}}
		}, "headers[0].val: there is no such option"},
	}
	for _, row := range rows {
		c := minimal()
		row.set(c)
		wantProblem(t, c, Environment{}, row.want)
	}
}

// wantProblem checks that Parse refuses c with want in its error.
func wantProblem(t *testing.T, c *Config, env Environment, want string) {
	t.Helper()
	_, err := Parse(c, env)
	if err == nil {
		t.Errorf("no problem, want %q", want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("got  %q\nwant %q", err, want)
	}
}

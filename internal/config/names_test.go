package config

import (
	"reflect"
	"strings"
	"testing"
	"unicode"
)

func TestNamesAreThoseOfTheStruct(t *testing.T) {
	levels := []struct {
		names string
		level any
	}{
		{topNames, Config{}},
		{headerNames, HeaderOptions{}},
		{securityNames, SecurityHeadersOptions{}},
		{registrationNames, RegistrationOptions{}},
		{redisNames, RedisOptions{}},
		{redisTLSNames, RedisTLSOptions{}},
	}
	for _, l := range levels {
		typ := reflect.TypeOf(l.level)
		var want []string
		for i := 0; i < typ.NumField(); i++ {
			if typ.Field(i).Name != "Extra" {
				want = append(want, optionName(typ.Field(i).Name))
			}
		}
		if got := strings.Join(strings.Fields(l.names), " "); got != strings.Join(want, " ") {
			t.Errorf("%s:\n got %s\nwant %s", typ.Name(), got, strings.Join(want, " "))
		}
		if extra := typ.Field(typ.NumField() - 1); extra.Tag != `mapstructure:",remain"` {
			t.Errorf("%s does not collect unknown options", typ.Name())
		}
	}
}

func TestRedisSettingsAreThoseOfTheStruct(t *testing.T) {
	c := New()
	d := redisDefaults()
	settings := redisSettings(&c.Redis, &d)
	var want []option
	for _, o := range options(c) {
		if strings.HasPrefix(o.name, "redis.") {
			want = append(want, o)
		}
	}
	if len(settings) != len(want) {
		t.Fatalf("%d settings, %d options", len(settings), len(want))
	}
	for i, s := range settings {
		if name := "redis." + s.option; name != want[i].name || s.value != want[i].value.Addr().Interface().(*string) {
			t.Errorf("%s is not %s", name, want[i].name)
		}
		if s.variable != variableName(s.option) {
			t.Errorf("%s has the variable %s, want %s", s.option, s.variable, variableName(s.option))
		}
	}
}

// variableName turns tls.caFile into REDIS_TLS_CA_FILE.
func variableName(option string) string {
	out := "REDIS_"
	for i, c := range option {
		if c == '.' {
			c = '_'
		}
		if i > 0 && unicode.IsUpper(c) && unicode.IsLower(rune(option[i-1])) {
			out += "_"
		}
		if i > 0 && unicode.IsUpper(c) && unicode.IsDigit(rune(option[i-1])) {
			out += "_"
		}
		out += string(unicode.ToUpper(c))
	}
	return out
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

// wantProblem checks that Parse refuses c and says want.
func wantProblem(t *testing.T, c *Config, env Environment, want string) {
	t.Helper()
	_, err := Parse(c, env)
	if err == nil {
		t.Errorf("no problem, want %q", want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("got  %q\nwant %q", err, want)
	}
}

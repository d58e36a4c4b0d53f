package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// parseRedis reads only the section redis, without the gate of this version.
func parseRedis(c *Config, env Environment) (Redis, []string) {
	r := &reader{env: env}
	options, written := r.redisOptions(&c.Redis)
	if !written {
		return Redis{}, r.problems
	}
	return r.redis(options), r.problems
}

func TestRedisDefaults(t *testing.T) {
	c := minimal()
	c.Redis.Enabled = "true"
	c.Redis.Address = "redis"
	x, problems := parseRedis(c, Environment{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := Redis{
		Enabled: true, Mode: "hybrid", Network: "tcp", Addresses: []string{"redis:6379"}, KeyPrefix: "traefikoidc:",
		TLS:        RedisTLS{MinVersion: 0x0303},
		MaxRetries: 3, PoolSize: 10, MinIdleConns: 5, MaxConnAge: time.Hour, PoolTimeout: 4 * time.Second,
		IdleTimeout: 15 * time.Minute, DialTimeout: 5 * time.Second, ReadTimeout: 3 * time.Second,
		WriteTimeout: 3 * time.Second, OperationTimeout: 500 * time.Millisecond,
		Breaker: true, BreakerThreshold: 5, BreakerTimeout: time.Minute, HealthCheck: true, HealthInterval: 30 * time.Second,
		MaxRedirects: 3, L1Entries: 100000, L1Bytes: 64 << 20, L1TTL: time.Second, MaxL1Age: time.Minute,
	}
	if !reflect.DeepEqual(x, want) {
		t.Errorf("got  %+v\nwant %+v", x, want)
	}
}

func TestRedisAddress(t *testing.T) {
	rows := []struct {
		address string
		want    string // network, addresses, user, password, database, TLS
		problem string
	}{
		{"redis:6380", "tcp redis:6380 - - 0 plain", ""},
		{"redis", "tcp redis:6379 - - 0 plain", ""},
		{"10.0.0.1:7", "tcp 10.0.0.1:7 - - 0 plain", ""},
		{"[fd00::1]:7", "tcp [fd00::1]:7 - - 0 plain", ""},
		{"fd00::1", "tcp [fd00::1]:6379 - - 0 plain", ""},
		{"a:1, b:2,,a:1", "tcp a:1,b:2 - - 0 plain", ""},
		{"redis://redis", "tcp redis:6379 - - 0 plain", ""},
		{"redis://:p%2Cw@redis:7/3", "tcp redis:7 - p,w 3 plain", ""},
		{"rediss://user:pw@redis/", "tcp redis:6379 user pw 0 TLS", ""},
		{"valkey://valkey:7/3", "tcp valkey:7 - - 3 plain", ""},
		{"valkeys://user:pw@valkey", "tcp valkey:6379 user pw 0 TLS", ""},
		{"redis://[::1]:6379", "tcp [::1]:6379 - - 0 plain", ""},
		{"redis://::1:6379", "", "redis.address: an IPv6 address with a port needs brackets"},
		{"2001:db8::1:6379", "", "redis.address: an IPv6 address with a port needs brackets"},
		{"unix:///run/redis.sock", "unix /run/redis.sock - - 0 plain", ""},
		{"redis:0", "", "redis.address: must have a port"},
		{"redis:99999", "", "redis.address: must have a port"},
		{"redis:port", "", "redis.address: must have a port"},
		{"a b:1", "", "redis.address: must be host:port"},
		{":6379", "", "redis.address: must be host:port"},
		{"user:pw@redis:6379", "", "redis.address: must be host:port"},
		{"http://redis", "", "redis.address: must be host:port"},
		{"redis://redis/x", "", "redis.address: must have nothing but the number"},
		{"redis://redis?db=1", "", "redis.address: must not have a query"},
		{"redis://u:p%zz@redis", "", "redis.address: is not a URL"},
		{"unix://run/redis.sock", "", "redis.address: must be unix://"},
		{"", "", "redis.address: is required by redis.enabled"},
	}
	for _, row := range rows {
		t.Run(row.address, func(t *testing.T) {
			c := minimal()
			c.Redis.Enabled = "true"
			c.Redis.Address = row.address
			x, problems := parseRedis(c, Environment{})
			if row.problem != "" {
				if !strings.Contains(strings.Join(problems, "; "), row.problem) {
					t.Errorf("got %v", problems)
				}
				return
			}
			got := []string{x.Network, strings.Join(x.Addresses, ","), dash(x.Username), dash(x.Password), string(rune('0' + x.DB)), "plain"}
			if x.TLS.Enabled {
				got[5] = "TLS"
			}
			if len(problems) > 0 || strings.Join(got, " ") != row.want {
				t.Errorf("got %v, problems %v", got, problems)
			}
		})
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func TestRedisProblems(t *testing.T) {
	rows := []struct {
		set  o
		want string
	}{
		{o{"redis.enabled": "maybe"}, "redis.enabled: must be true or false"},
		{o{"redis.db": "-1"}, "redis.db: must be a number from 0"},
		{o{"redis.db": "x"}, "redis.db: must be a number from 0"},
		{o{"redis.cacheMode": "hybird"}, "redis.cacheMode: is none of memory, redis, hybrid; did you mean hybrid?"},
		{o{"redis.keyPrefix": "a*"}, "redis.keyPrefix: must be up to 100 letters"},
		{o{"redis.keyPrefix": "{a}"}, "redis.keyPrefix: must be up to 100 letters"},
		{o{"redis.readTimeout": "0"}, "redis.readTimeout: must be more than 0"},
		{o{"redis.readTimeout": "1h"}, "redis.readTimeout: must be a duration up to"},
		{o{"redis.sentinelUsername": "u", "redis.sentinelPassword": "p"}, "redis.sentinelMasterName: is required by redis.sentinelUsername"},
		{o{"redis.sentinelMasterName": "m", "redis.sentinelUsername": "u"}, "redis.sentinelUsername: needs redis.sentinelPassword"},
		{o{"redis.sentinelMasterName": "m", "redis.address": "unix:///run/redis.sock"}, "redis.sentinelMasterName: needs the addresses of sentinels"},
		{o{"redis.sentinelMasterName": "m", "redis.clusterMode": "true"}, "redis.sentinelMasterName: contradicts redis.clusterMode"},
		{o{"redis.poolSize": "0"}, "redis.poolSize: must be a number from 1"},
		{o{"redis.poolSize": "5", "redis.minIdleConns": "6"}, "redis.minIdleConns: is more than redis.poolSize"},
		{o{"redis.connectTimeout": "2", "redis.dialTimeout": "3"}, "redis.connectTimeout: contradicts redis.dialTimeout"},
		{o{"redis.enableTLS": "true", "redis.tls.enabled": "false"}, "redis.enableTLS: contradicts redis.tls.enabled"},
		{o{"redis.address": "rediss://r", "redis.tls.enabled": "false"}, "redis.address: contradicts redis.tls.enabled"},
		{o{"redis.address": "redis://:a@r", "redis.password": "b"}, "redis.address: contradicts redis.password"},
		{o{"redis.address": "redis://r/1", "redis.db": "2"}, "redis.address: contradicts redis.db"},
		{o{"redis.address": "unix:///r", "redis.tls.enabled": "true"}, "redis.tls.enabled: a unix socket has no TLS"},
		{o{"redis.username": "u"}, "redis.username: needs redis.password"},
		{o{"redis.clusterMode": "true", "redis.address": "unix:///run/redis.sock"}, "redis.clusterMode: needs the addresses of nodes"},
		{o{"redis.clusterMode": "true", "redis.db": "1"}, "redis.db: a cluster has only database 0"},
		{o{"redis.tls.minVersion": "1.1"}, "redis.tls.minVersion: is none of 1.2, 1.3"},
		{o{"redis.tls.caFile": "/none"}, "redis.tls.caFile: the file /none does not exist"},
		{o{"redis.tls.certFile": "/c"}, "redis.tls.keyFile: is required by redis.tls.certFile"},
		{o{"redis.password": "${NO_PASSWORD}"}, "redis.password: the environment variable NO_PASSWORD is not set"},
	}
	for _, row := range rows {
		c := minimal()
		for name, value := range row.set {
			set(t, c, name, value)
		}
		_, problems := parseRedis(c, environment(nil, nil))
		if !strings.Contains(strings.Join(problems, "; "), row.want) {
			t.Errorf("%v: got %v, want %q", row.set, problems, row.want)
		}
	}
}

func TestRedisEnvironment(t *testing.T) {
	rows := []struct {
		name string
		file o
		env  map[string]string
		want func(x Redis) bool
	}{
		{"on by the environment", nil, map[string]string{"REDIS_ENABLED": "true", "REDIS_ADDRESS": "r:1", "REDIS_DB": "3"},
			func(x Redis) bool { return x.Enabled && x.Addresses[0] == "r:1" && x.DB == 3 }},
		{"the file wins", o{"redis.enabled": "true", "redis.address": "f:1", "redis.poolSize": "7"}, map[string]string{"REDIS_ADDRESS": "r:1", "REDIS_POOL_SIZE": "8", "REDIS_READ_TIMEOUT": "250ms"},
			func(x Redis) bool {
				return x.Addresses[0] == "f:1" && x.PoolSize == 7 && x.ReadTimeout == 250*time.Millisecond
			}},
		{"off by the environment, whatever the file says", o{"redis.enabled": "true", "redis.poolSize": "junk"}, map[string]string{"REDIS_ENABLED": "false"},
			func(x Redis) bool { return reflect.DeepEqual(x, Redis{}) }},
		{"off by the file", o{"redis.enabled": "false", "redis.address": "f:1"}, map[string]string{"REDIS_ENABLED": "true", "REDIS_DB": "junk"},
			func(x Redis) bool { return !x.Enabled && x.Addresses[0] == "f:1" }},
		{"not asked for", nil, map[string]string{"REDIS_DB": "junk", "REDIS_PASSWORD": "x"},
			func(x Redis) bool { return reflect.DeepEqual(x, Redis{}) }},
		{"empty is unset", o{"redis.enabled": "true", "redis.address": "f:1", "redis.poolSize": "${NONE}"}, map[string]string{"NONE": "", "REDIS_POOL_SIZE": "", "REDIS_DB": " "},
			func(x Redis) bool { return x.PoolSize == 10 && x.DB == 0 }},
		{"password beside the file's address", o{"redis.enabled": "true", "redis.address": "f:1"}, map[string]string{"REDIS_PASSWORD": "p${X}w"},
			func(x Redis) bool { return x.Password == "p${X}w" }},
		{"the address of the file has the password", o{"redis.enabled": "true", "redis.address": "redis://:mine@f:1"}, map[string]string{"REDIS_PASSWORD": "other"},
			func(x Redis) bool { return x.Password == "mine" }},
		{"credentials of another address are left", o{"redis.enabled": "true", "redis.address": "f:1"}, map[string]string{"REDIS_ADDRESS": "redis://:theirs@r:1"},
			func(x Redis) bool { return x.Password == "" && x.Addresses[0] == "f:1" }},
		{"aliases in the file", o{"redis.enabled": "true", "redis.address": "f:1", "redis.connectTimeout": "2", "redis.enableTLS": "1", "redis.tlsSkipVerify": "true"}, map[string]string{"REDIS_DIAL_TIMEOUT": "9", "REDIS_TLS_ENABLED": "false"},
			func(x Redis) bool {
				return x.DialTimeout == 2*time.Second && x.TLS.Enabled && x.TLS.InsecureSkipVerify
			}},
		{"aliases in the environment", o{"redis.enabled": "true", "redis.address": "f:1"}, map[string]string{"REDIS_CONNECT_TIMEOUT": "2", "REDIS_ENABLE_TLS": "true"},
			func(x Redis) bool { return x.DialTimeout == 2*time.Second && x.TLS.Enabled }},
		{"every number and time", o{"redis.enabled": "true", "redis.address": "f:1"}, map[string]string{"REDIS_L1_TTL": "2", "REDIS_HYBRID_L1_SIZE": "5", "REDIS_HYBRID_L1_MEMORY_MB": "1", "REDIS_TLS_MIN_VERSION": "1.3", "REDIS_KEY_PREFIX": "app:"},
			func(x Redis) bool {
				return x.L1TTL == 2*time.Second && x.L1Entries == 5 && x.L1Bytes == 1<<20 && x.TLS.MinVersion == 0x0304 && x.KeyPrefix == "app:"
			}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := minimal()
			for name, value := range row.file {
				set(t, c, name, value)
			}
			x, problems := parseRedis(c, environment(row.env, nil))
			if len(problems) > 0 || !row.want(x) {
				t.Errorf("got %+v, problems %v", x, problems)
			}
		})
	}
	for _, value := range []string{"maybe"} {
		wantProblem(t, minimal(), environment(map[string]string{"REDIS_ENABLED": value}, nil), "redis.enabled (REDIS_ENABLED): must be true or false")
	}
}

// Variables of other software are named if the option for which they are mistaken is
// unset. A password would otherwise go over the network in clear text.
func TestMisnamedRedisVariables(t *testing.T) {
	rows := []struct {
		variables map[string]string
		want      string // of the problems and warnings
	}{
		{map[string]string{"REDIS_URL": "redis://r"}, "redis.address: is required by redis.enabled; the variable REDIS_URL is ignored, write REDIS_ADDRESS"},
		{map[string]string{"REDIS_ADDRESS": "r", "REDIS_TLS": "true"}, "redis.tls.enabled: is not set; the variable REDIS_TLS is ignored, write REDIS_TLS_ENABLED"},
		{map[string]string{"REDIS_ADDRESS": "r", "REDIS_USER": "u"}, "redis.username: is not set; the variable REDIS_USER is ignored, write REDIS_USERNAME"},
		{map[string]string{"REDIS_ADDRESS": "r", "REDIS_DATABASE": "3"}, "redis.db: is not set; the variable REDIS_DATABASE is ignored, write REDIS_DB"},
		{map[string]string{"REDIS_ADDRESS": "r", "REDIS_PASSWORD_FILE": "/p"}, "redis.password: is not set; the variable REDIS_PASSWORD_FILE is ignored, write REDIS_PASSWORD=file:/path"},
		{map[string]string{"REDIS_ADDRESS": "r", "REDIS_TLS": "true", "REDIS_TLS_ENABLED": "true", "REDIS_HOST": "r", "REDIS_PORT": "tcp://10.0.0.1:6379"}, ""},
		{map[string]string{"REDIS_ADDRESS": "rediss://r", "REDIS_TLS": "true"}, ""},
	}
	for _, row := range rows {
		r := &reader{env: environment(row.variables, nil)}
		c := minimal()
		c.Redis.Enabled = "true"
		o, _ := r.redisOptions(&c.Redis)
		r.redis(o)
		if got := strings.Join(append(r.problems, r.warnings...), "\n"); got != row.want {
			t.Errorf("%v:\n got %q\nwant %q", row.variables, got, row.want)
		}
	}
}

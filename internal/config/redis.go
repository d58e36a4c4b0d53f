package config

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"
)

const (
	maxRedisAge     = 30 * 24 * time.Hour
	maxRedisTimeout = 5 * time.Minute
)

// redis reads the section redis, complete with the environment and the defaults.
func (r *reader) redis(o RedisOptions) Redis {
	const at = "redis."
	x := Redis{
		Enabled:      r.boolean(at+"enabled", o.Enabled),
		Mode:         r.choice(at+"cacheMode", o.CacheMode, "hybrid", []string{"memory", "redis", "hybrid"}),
		KeyPrefix:    r.keyPrefix(at+"keyPrefix", o.KeyPrefix),
		MaxRetries:   r.integer(at+"maxRetries", o.MaxRetries, 0, 100),
		PoolSize:     r.integer(at+"poolSize", o.PoolSize, 1, 10000),
		MinIdleConns: r.integer(at+"minIdleConns", o.MinIdleConns, 0, 10000),
		MaxConnAge:   r.duration(at+"maxConnAge", o.MaxConnAge, maxRedisAge),
		PoolTimeout:  r.positive(at+"poolTimeout", o.PoolTimeout),
		IdleTimeout:  r.duration(at+"idleTimeout", o.IdleTimeout, maxRedisAge),
		DialTimeout:  r.positive(at+"dialTimeout", o.DialTimeout),
		ReadTimeout:  r.positive(at+"readTimeout", o.ReadTimeout),
		WriteTimeout: r.positive(at+"writeTimeout", o.WriteTimeout),

		OperationTimeout: r.positive(at+"operationTimeout", o.OperationTimeout),
		Breaker:          r.boolean(at+"enableCircuitBreaker", o.EnableCircuitBreaker),
		BreakerThreshold: r.integer(at+"circuitBreakerThreshold", o.CircuitBreakerThreshold, 1, 100000),
		BreakerTimeout:   r.positive(at+"circuitBreakerTimeout", o.CircuitBreakerTimeout),
		HealthCheck:      r.boolean(at+"enableHealthCheck", o.EnableHealthCheck),
		HealthInterval:   r.positive(at+"healthCheckInterval", o.HealthCheckInterval),

		Cluster:          r.boolean(at+"clusterMode", o.ClusterMode),
		MaxRedirects:     r.integer(at+"maxRedirects", o.MaxRedirects, 0, 100),
		ReadOnly:         r.boolean(at+"readOnly", o.ReadOnly),
		RouteByLatency:   r.boolean(at+"routeByLatency", o.RouteByLatency),
		RouteRandomly:    r.boolean(at+"routeRandomly", o.RouteRandomly),
		SentinelMaster:   r.text(at+"sentinelMasterName", o.SentinelMasterName),
		SentinelUsername: r.text(at+"sentinelUsername", o.SentinelUsername),
		SentinelPassword: r.secret(at+"sentinelPassword", o.SentinelPassword),

		L1Entries: r.integer(at+"hybridL1Size", o.HybridL1Size, 1, 100000000),
		L1Bytes:   int64(r.integer(at+"hybridL1MemoryMB", o.HybridL1MemoryMB, 1, 1<<20)) << 20,
		L1TTL:     r.positive(at+"l1TTL", o.L1TTL),
		MaxL1Age:  r.positive(at+"maxL1Age", o.MaxL1Age),
	}
	x.TLS = r.redisTLS(o)
	r.redisAddress(o, &x)
	r.redisTogether(o, &x)
	return x
}

// redisTogether checks values that depend on more than one option.
func (r *reader) redisTogether(o RedisOptions, x *Redis) {
	if x.MinIdleConns > x.PoolSize {
		if o.MinIdleConns != redisDefaults().MinIdleConns {
			r.problem("redis.minIdleConns", "is more than redis.poolSize")
		}
		x.MinIdleConns = x.PoolSize
	}
	if x.Cluster && x.DB != 0 {
		r.problem("redis.db", "a cluster has only database 0")
	}
	if x.Username != "" && x.Password == "" {
		r.problem("redis.username", "needs redis.password")
	}
	if x.SentinelMaster == "" && (x.SentinelUsername != "" || x.SentinelPassword != "") {
		r.problem("redis.sentinelMasterName", "is required by redis.sentinelUsername and redis.sentinelPassword")
	}
	if x.SentinelUsername != "" && x.SentinelPassword == "" {
		r.problem("redis.sentinelUsername", "needs redis.sentinelPassword")
	}
	if x.SentinelMaster != "" && x.Network == "unix" {
		r.problem("redis.sentinelMasterName", "needs the addresses of sentinels, not a socket")
	}
	if x.SentinelMaster != "" && x.Cluster {
		r.problem("redis.sentinelMasterName", "contradicts redis.clusterMode: a cluster has no sentinels")
	}
	if x.Cluster && x.Network == "unix" {
		r.problem("redis.clusterMode", "needs the addresses of nodes, not a socket")
	}
	if x.Network == "unix" && x.TLS.Enabled {
		r.problem("redis.tls.enabled", "a unix socket has no TLS")
	}
	if x.TLS.Enabled && x.TLS.InsecureSkipVerify {
		r.warn("redis.tls.insecureSkipVerify", "the server's certificate is not checked: anyone on the way to Redis can read its password")
	}
}

// positive reads a timeout, which must not be zero, because no operation may wait for
// ever.
func (r *reader) positive(option, raw string) time.Duration {
	before := len(r.problems)
	d := r.duration(option, raw, maxRedisTimeout)
	if d == 0 && len(r.problems) == before {
		r.problem(option, "must be more than 0")
	}
	return d
}

const prefixChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/"

// keyPrefix reads the prefix of all keys, and adds the separator. Characters with a
// meaning in a pattern or in a cluster's key are refused.
func (r *reader) keyPrefix(option, raw string) string {
	s := r.text(option, raw)
	if !only(s, prefixChars) || len(s) > 100 {
		r.problem(option, "must be up to 100 letters, digits and - _ . : /")
		return ""
	}
	return strings.TrimSuffix(s, ":") + ":"
}

// redisTLS reads the section redis.tls, with its files.
func (r *reader) redisTLS(o RedisOptions) RedisTLS {
	const at = "redis.tls."
	t := RedisTLS{
		Enabled:            r.boolean(at+"enabled", o.TLS.Enabled),
		InsecureSkipVerify: r.boolean(at+"insecureSkipVerify", o.TLS.InsecureSkipVerify),
		ServerName:         r.text(at+"serverName", o.TLS.ServerName),
		MinVersion:         tls.VersionTLS12,
	}
	if r.choice(at+"minVersion", o.TLS.MinVersion, "1.2", []string{"1.2", "1.3"}) == "1.3" {
		t.MinVersion = tls.VersionTLS13
	}
	if path := r.text(at+"caFile", o.TLS.CAFile); path != "" {
		t.CAFile = path
		t.CAPEM = r.certificateFile(at+"caFile", path)
	}
	cert := r.text(at+"certFile", o.TLS.CertFile)
	key := r.text(at+"keyFile", o.TLS.KeyFile)
	switch {
	case cert == "" && key == "":
	case cert == "":
		r.problem(at+"certFile", "is required by redis.tls.keyFile")
	case key == "":
		r.problem(at+"keyFile", "is required by redis.tls.certFile")
	default:
		t.CertFile = cert
		t.KeyFile = key
		t.CertPEM = r.certificateFile(at+"certFile", cert)
		t.KeyPEM = r.file(at+"keyFile", key, maxSecret)
		r.checkPair(at+"keyFile", t)
	}
	return t
}

func (r *reader) checkPair(option string, t RedisTLS) {
	if t.CertPEM == "" || t.KeyPEM == "" {
		return
	}
	if _, err := tls.X509KeyPair([]byte(t.CertPEM), []byte(t.KeyPEM)); err != nil {
		r.problem(option, fmt.Sprintf("is not the key of %s", "redis.tls.certFile"))
	}
}

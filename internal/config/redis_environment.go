package config

import "strings"

// redisOptions returns the section redis as it stands once the environment has
// filled what the file leaves out, addresses and aliases have been spread over
// the options that they stand for, and the defaults are in. The boolean says
// whether it is to be read: not where nobody speaks of Redis, and not where the
// environment turns it off, whatever the section says.
func (r *reader) redisOptions(c *RedisOptions) (RedisOptions, bool) {
	r.unknown("redis.", c.Extra, redisNames)
	r.unknown("redis.tls.", c.TLS.Extra, redisTLSNames)
	if r.redisOff() {
		return redisDefaults(), false
	}
	o := *c
	written := r.expandRedis(&o)
	wanted := r.wanted(&o)
	if !written && !wanted {
		return redisDefaults(), false
	}
	r.aliases(&o)
	r.spread(&o)
	if wanted {
		e := r.fromEnvironment()
		r.aliases(&e)
		if o.Address == "" {
			r.spread(&e)
		}
		fill(&o, &e)
	}
	d := redisDefaults()
	fill(&o, &d)
	return o, true
}

// redisOff reports whether REDIS_ENABLED turns Redis off, whatever the file says.
func (r *reader) redisOff() bool {
	s := r.variable("REDIS_ENABLED")
	if s == "" {
		return false
	}
	before := len(r.problems)
	on := r.boolean("redis.enabled (REDIS_ENABLED)", s)
	return !on && len(r.problems) == before
}

// wanted reports whether the file or the environment turns Redis on. Where
// neither does, variables that may be meant for another program are left alone.
func (r *reader) wanted(o *RedisOptions) bool {
	s := strings.ToLower(o.Enabled)
	if s == "" {
		s = strings.ToLower(r.variable("REDIS_ENABLED"))
	}
	return contains(truths(), s)
}

// expandRedis replaces the variables in the values of o, so that one that turns
// out empty is unset. It reports whether the operator wrote any.
func (r *reader) expandRedis(o *RedisOptions) bool {
	written := false
	d := RedisOptions{}
	for _, s := range redisSettings(o, &d) {
		if *s.value != "" {
			written = true
			*s.value = literal(strings.TrimSpace(r.expand("redis."+s.option, *s.value)))
		}
	}
	return written
}

// variable returns the value of a variable; an empty one is not set.
func (r *reader) variable(name string) string {
	s, _ := r.env.lookup(name)
	return literal(strings.TrimSpace(s))
}

// literal escapes a value that has been expanded, so that reading it does not
// expand it again.
func literal(s string) string {
	return strings.ReplaceAll(s, "${", "$${")
}

// fromEnvironment returns the section redis that the variables alone make.
func (r *reader) fromEnvironment() RedisOptions {
	e := RedisOptions{}
	d := RedisOptions{}
	for _, s := range redisSettings(&e, &d) {
		*s.value = r.variable(s.variable)
	}
	return e
}

// fill gives every option of o that is unset the value of from.
func fill(o, from *RedisOptions) {
	for _, s := range redisSettings(o, from) {
		if *s.value == "" {
			*s.value = *s.other
		}
	}
}

// aliases moves the values of the options that are names for others.
func (r *reader) aliases(o *RedisOptions) {
	r.alias("redis.connectTimeout", &o.ConnectTimeout, "redis.dialTimeout", &o.DialTimeout)
	r.alias("redis.enableTLS", &o.EnableTLS, "redis.tls.enabled", &o.TLS.Enabled)
	r.alias("redis.tlsSkipVerify", &o.TLSSkipVerify, "redis.tls.insecureSkipVerify", &o.TLS.InsecureSkipVerify)
}

func (r *reader) alias(option string, from *string, main string, to *string) {
	r.merge(option, *from, main, to)
	*from = ""
}

// merge gives to the value from another option, unless it has one: then they must
// agree.
func (r *reader) merge(option, value, main string, to *string) {
	switch {
	case value == "":
	case *to == "":
		*to = value
	case *to != value && !bothTrue(*to, value):
		r.problem(option, "contradicts "+main+"; leave one of them out")
	}
}

func bothTrue(a, b string) bool {
	return contains(truths(), strings.ToLower(a)) && contains(truths(), strings.ToLower(b))
}

// A setting is an option of redis, the variable that fills it, and its place in
// two sections.
type setting struct {
	option   string
	variable string
	value    *string
	other    *string
}

// redisSettings lists the options of o, each beside that of another section.
func redisSettings(o, d *RedisOptions) []setting {
	return []setting{
		{"enabled", "REDIS_ENABLED", &o.Enabled, &d.Enabled},
		{"address", "REDIS_ADDRESS", &o.Address, &d.Address},
		{"username", "REDIS_USERNAME", &o.Username, &d.Username},
		{"password", "REDIS_PASSWORD", &o.Password, &d.Password},
		{"db", "REDIS_DB", &o.DB, &d.DB},
		{"keyPrefix", "REDIS_KEY_PREFIX", &o.KeyPrefix, &d.KeyPrefix},
		{"cacheMode", "REDIS_CACHE_MODE", &o.CacheMode, &d.CacheMode},
		{"maxRetries", "REDIS_MAX_RETRIES", &o.MaxRetries, &d.MaxRetries},
		{"poolSize", "REDIS_POOL_SIZE", &o.PoolSize, &d.PoolSize},
		{"minIdleConns", "REDIS_MIN_IDLE_CONNS", &o.MinIdleConns, &d.MinIdleConns},
		{"maxConnAge", "REDIS_MAX_CONN_AGE", &o.MaxConnAge, &d.MaxConnAge},
		{"poolTimeout", "REDIS_POOL_TIMEOUT", &o.PoolTimeout, &d.PoolTimeout},
		{"idleTimeout", "REDIS_IDLE_TIMEOUT", &o.IdleTimeout, &d.IdleTimeout},
		{"dialTimeout", "REDIS_DIAL_TIMEOUT", &o.DialTimeout, &d.DialTimeout},
		{"connectTimeout", "REDIS_CONNECT_TIMEOUT", &o.ConnectTimeout, &d.ConnectTimeout},
		{"readTimeout", "REDIS_READ_TIMEOUT", &o.ReadTimeout, &d.ReadTimeout},
		{"writeTimeout", "REDIS_WRITE_TIMEOUT", &o.WriteTimeout, &d.WriteTimeout},
		{"operationTimeout", "REDIS_OPERATION_TIMEOUT", &o.OperationTimeout, &d.OperationTimeout},
		{"circuitBreakerThreshold", "REDIS_CIRCUIT_BREAKER_THRESHOLD", &o.CircuitBreakerThreshold, &d.CircuitBreakerThreshold},
		{"circuitBreakerTimeout", "REDIS_CIRCUIT_BREAKER_TIMEOUT", &o.CircuitBreakerTimeout, &d.CircuitBreakerTimeout},
		{"enableCircuitBreaker", "REDIS_ENABLE_CIRCUIT_BREAKER", &o.EnableCircuitBreaker, &d.EnableCircuitBreaker},
		{"enableHealthCheck", "REDIS_ENABLE_HEALTH_CHECK", &o.EnableHealthCheck, &d.EnableHealthCheck},
		{"healthCheckInterval", "REDIS_HEALTH_CHECK_INTERVAL", &o.HealthCheckInterval, &d.HealthCheckInterval},
		{"enableTLS", "REDIS_ENABLE_TLS", &o.EnableTLS, &d.EnableTLS},
		{"tlsSkipVerify", "REDIS_TLS_SKIP_VERIFY", &o.TLSSkipVerify, &d.TLSSkipVerify},
		{"tls.enabled", "REDIS_TLS_ENABLED", &o.TLS.Enabled, &d.TLS.Enabled},
		{"tls.certFile", "REDIS_TLS_CERT_FILE", &o.TLS.CertFile, &d.TLS.CertFile},
		{"tls.keyFile", "REDIS_TLS_KEY_FILE", &o.TLS.KeyFile, &d.TLS.KeyFile},
		{"tls.caFile", "REDIS_TLS_CA_FILE", &o.TLS.CAFile, &d.TLS.CAFile},
		{"tls.insecureSkipVerify", "REDIS_TLS_INSECURE_SKIP_VERIFY", &o.TLS.InsecureSkipVerify, &d.TLS.InsecureSkipVerify},
		{"tls.serverName", "REDIS_TLS_SERVER_NAME", &o.TLS.ServerName, &d.TLS.ServerName},
		{"tls.minVersion", "REDIS_TLS_MIN_VERSION", &o.TLS.MinVersion, &d.TLS.MinVersion},
		{"clusterMode", "REDIS_CLUSTER_MODE", &o.ClusterMode, &d.ClusterMode},
		{"maxRedirects", "REDIS_MAX_REDIRECTS", &o.MaxRedirects, &d.MaxRedirects},
		{"readOnly", "REDIS_READ_ONLY", &o.ReadOnly, &d.ReadOnly},
		{"routeByLatency", "REDIS_ROUTE_BY_LATENCY", &o.RouteByLatency, &d.RouteByLatency},
		{"routeRandomly", "REDIS_ROUTE_RANDOMLY", &o.RouteRandomly, &d.RouteRandomly},
		{"sentinelMasterName", "REDIS_SENTINEL_MASTER_NAME", &o.SentinelMasterName, &d.SentinelMasterName},
		{"sentinelUsername", "REDIS_SENTINEL_USERNAME", &o.SentinelUsername, &d.SentinelUsername},
		{"sentinelPassword", "REDIS_SENTINEL_PASSWORD", &o.SentinelPassword, &d.SentinelPassword},
		{"hybridL1Size", "REDIS_HYBRID_L1_SIZE", &o.HybridL1Size, &d.HybridL1Size},
		{"hybridL1MemoryMB", "REDIS_HYBRID_L1_MEMORY_MB", &o.HybridL1MemoryMB, &d.HybridL1MemoryMB},
		{"l1TTL", "REDIS_L1_TTL", &o.L1TTL, &d.L1TTL},
	}
}

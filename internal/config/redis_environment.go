package config

import (
	"reflect"
	"strings"
)

// redisOptions returns the section redis. The environment fills the options that the
// file omits. Then addresses and aliases set the options that they replace, and
// defaults the rest. The boolean reports whether Redis is configured. It is false if
// neither the file nor the environment mentions Redis, and if the environment turns it
// off.
func (r *reader) redisOptions(c *RedisOptions) (RedisOptions, bool) {
	r.unknown("redis.", c.Extra, RedisOptions{})
	r.unknown("redis.tls.", c.TLS.Extra, RedisTLSOptions{})
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
		r.warnOfMisnamed(&o)
	}
	d := redisDefaults()
	fill(&o, &d)
	return o, true
}

// redisOff reports whether REDIS_ENABLED turns Redis off, which overrides the file.
func (r *reader) redisOff() bool {
	s := r.variable("REDIS_ENABLED")
	if s == "" {
		return false
	}
	before := len(r.problems)
	on := r.boolean("redis.enabled (REDIS_ENABLED)", s)
	return !on && len(r.problems) == before
}

// wanted reports whether the file or the environment turns Redis on. If neither does,
// variables that may belong to other software are ignored.
func (r *reader) wanted(o *RedisOptions) bool {
	s := strings.ToLower(o.Enabled)
	if s == "" {
		s = strings.ToLower(r.variable("REDIS_ENABLED"))
	}
	return contains(truths(), s)
}

// expandRedis replaces the variables in the values of o, so that a value that becomes
// empty is unset. It reports whether the operator set any.
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

// fromEnvironment returns the section redis from the variables only.
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

// A misnamedVariable is a variable that other software reads, and that this plugin
// ignores.
type misnamedVariable struct {
	option string // of the section redis, for which it is mistaken
	names  string
}

var misnamedVariables = []misnamedVariable{
	{"address", "REDIS_URL REDIS_URI REDIS_HOST REDIS_HOSTNAME REDIS_ADDR REDIS_SERVER REDIS_SERVERS REDIS_HOSTS REDIS_ENDPOINT REDIS_CONNECTION_URL REDIS_PORT"},
	{"username", "REDIS_USER"},
	{"password", "REDIS_PASS REDIS_PWD REDIS_AUTH REDIS_PASSWORD_FILE"},
	{"db", "REDIS_DATABASE REDIS_DB_INDEX REDIS_DBNUM"},
	{"keyPrefix", "REDIS_PREFIX REDIS_NAMESPACE"},
	{"tls.enabled", "REDIS_TLS REDIS_SSL REDIS_USE_TLS REDIS_USE_SSL REDIS_SSL_ENABLED"},
	{"tls.caFile", "REDIS_TLS_CA REDIS_CA_FILE REDIS_CA_CERT REDIS_TLS_CA_CERT REDIS_TLS_CA_CERT_FILE"},
	{"tls.certFile", "REDIS_TLS_CERT REDIS_CERT_FILE"},
	{"tls.keyFile", "REDIS_TLS_KEY REDIS_KEY_FILE"},
	{"sentinelMasterName", "REDIS_MASTER_NAME REDIS_SENTINEL_MASTER"},
	{"clusterMode", "REDIS_CLUSTER"},
}

// warnOfMisnamed warns of variables that would set an option of o, which is unset, if
// they had the right name. If the address is missing, the error names them too.
func (r *reader) warnOfMisnamed(o *RedisOptions) {
	none := RedisOptions{}
	for _, s := range redisSettings(o, &none) {
		if *s.value != "" || s.option == "address" {
			continue
		}
		if hint := r.misnamed(s.option); hint != "" {
			r.warn("redis."+s.option, "is not set"+hint)
		}
	}
}

// misnamed returns a clause about set variables that an operator may mistake for that
// of an option, or "". Kubernetes sets REDIS_PORT to a URL for each service of that
// name, without the operator.
func (r *reader) misnamed(option string) string {
	for _, m := range misnamedVariables {
		if m.option != option {
			continue
		}
		for _, name := range strings.Fields(m.names) {
			if v := r.variable(name); v == "" || strings.HasPrefix(v, "tcp://") {
				continue
			}
			hint := "; the variable " + name + " is ignored, write " + variableName(option)
			if strings.HasSuffix(name, "_FILE") && option == "password" {
				hint += "=file:/path"
			}
			return hint
		}
	}
	return ""
}

// aliases moves the values of options that are other names.
func (r *reader) aliases(o *RedisOptions) {
	r.alias("redis.connectTimeout", &o.ConnectTimeout, "redis.dialTimeout", &o.DialTimeout)
	r.alias("redis.enableTLS", &o.EnableTLS, "redis.tls.enabled", &o.TLS.Enabled)
	r.alias("redis.tlsSkipVerify", &o.TLSSkipVerify, "redis.tls.insecureSkipVerify", &o.TLS.InsecureSkipVerify)
}

func (r *reader) alias(option string, from *string, main string, to *string) {
	r.merge(option, *from, main, to)
	*from = ""
}

// merge sets to from another option, unless it is set. If both are set, they must
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

// A setting is an option of redis, with its variable and its place in two sections.
type setting struct {
	option   string
	variable string
	value    *string
	other    *string
}

// redisSettings lists the options of o, each with that of another section.
func redisSettings(o, d *RedisOptions) []setting {
	return settingsOf("", reflect.ValueOf(o).Elem(), reflect.ValueOf(d).Elem())
}

// settingsOf lists the options of a level and of the levels below it.
func settingsOf(prefix string, o, d reflect.Value) []setting {
	var list []setting
	t := o.Type()
	for i := 0; i < t.NumField(); i++ {
		option := prefix + optionName(t.Field(i).Name)
		switch t.Field(i).Type.Kind() {
		case reflect.String:
			list = append(list, setting{
				option: option, variable: variableName(option),
				value: o.Field(i).Addr().Interface().(*string), other: d.Field(i).Addr().Interface().(*string),
			})
		case reflect.Struct:
			list = append(list, settingsOf(option+".", o.Field(i), d.Field(i))...)
		}
	}
	return list
}

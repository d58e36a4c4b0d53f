package config

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// A redisURL has the parts of a redis://, rediss:// or unix:// address. The schemes
// valkey and valkeys mean the same as redis and rediss.
type redisURL struct {
	network  string
	address  string
	username string
	password string
	db       string
	tls      bool
}

// spread sets the options that a URL replaces: user name, password, database and TLS.
// Problems of the URL are reported later.
func (r *reader) spread(o *RedisOptions) {
	address, _ := r.env.expand(o.Address)
	if !strings.Contains(address, "://") {
		return
	}
	u, fault := parseRedisURL(address, "6379")
	if fault != "" {
		return
	}
	const option = "redis.address"
	r.merge(option, literal(u.username), "redis.username", &o.Username)
	r.merge(option, literal(u.password), "redis.password", &o.Password)
	r.merge(option, u.db, "redis.db", &o.DB)
	if u.tls {
		r.merge(option, "true", "redis.tls.enabled", &o.TLS.Enabled)
	}
}

// redisAddress reads the address of Redis, and the user name and password there.
func (r *reader) redisAddress(o RedisOptions, x *Redis) {
	const option = "redis.address"
	x.Network = "tcp"
	x.Username = r.text("redis.username", o.Username)
	x.Password = r.secret("redis.password", o.Password)
	x.DB = r.integer("redis.db", o.DB, 0, 1<<20)
	raw := r.text(option, o.Address)
	port := "6379"
	if o.SentinelMasterName != "" {
		port = "26379"
	}
	if raw == "" {
		if x.Enabled {
			r.problem(option, "is required by redis.enabled"+r.misnamed("address"))
		}
		return
	}
	if strings.Contains(raw, "://") {
		u, fault := parseRedisURL(raw, port)
		if fault != "" {
			r.problem(option, fault)
			return
		}
		x.Network = u.network
		x.Addresses = []string{u.address}
		return
	}
	for _, part := range strings.Split(raw, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		address, fault := hostPort(part, port)
		if fault != "" {
			r.problem(option, fault)
			return
		}
		if !contains(x.Addresses, address) {
			x.Addresses = append(x.Addresses, address)
		}
	}
	if len(x.Addresses) > 100 {
		r.problem(option, "names more than 100 servers")
	}
}

const notRedisAddress = "must be host:port, or begin with redis://, rediss:// or unix://"

func redisSchemes() []string {
	return []string{"redis", "rediss", "valkey", "valkeys"}
}

// parseRedisURL parses the forms redis://user:password@host:port/db, rediss://,
// valkey://, valkeys:// and unix:///path. The text about a fault does not repeat the
// URL.
func parseRedisURL(raw, port string) (redisURL, string) {
	u, err := url.Parse(raw)
	if err != nil {
		return redisURL{}, "is not a URL; a password in it must be percent-encoded"
	}
	out := redisURL{network: "tcp", tls: u.Scheme == "rediss" || u.Scheme == "valkeys"}
	if u.User != nil {
		out.username = u.User.Username()
		out.password, _ = u.User.Password()
	}
	switch {
	case u.RawQuery != "" || u.Fragment != "":
		return out, "must not have a query or a fragment"
	case u.Scheme == "unix":
		out.network = "unix"
		out.address = u.Path
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || len(u.Path) > 100 {
			return out, "must be unix:// and an absolute path of at most 100 bytes"
		}
		return out, ""
	case !contains(redisSchemes(), u.Scheme):
		return out, notRedisAddress
	}
	out.db = strings.Trim(u.Path, "/")
	if out.db != "" && !only(out.db, "0123456789") {
		return out, "must have nothing but the number of a database after the host"
	}
	var fault string
	out.address, fault = hostPort(u.Host, port)
	return out, fault
}

// hostPort returns address with its port, or with the standard one if it has none.
func hostPort(address, standard string) (string, string) {
	const fault = notRedisAddress
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
		port = standard
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", fault
		}
		if i := strings.LastIndex(address, ":"); i > 0 && net.ParseIP(address[:i]) != nil {
			return "", "an IPv6 address with a port needs brackets, such as [::1]:6379"
		}
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return "", "must have a port from 1 to 65535"
	}
	if host == "" || strings.ContainsAny(host, " /@?#[]\"\\") || len(host) > 255 {
		return "", fault
	}
	return net.JoinHostPort(host, port), ""
}

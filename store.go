package traefikoidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/internal/background"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/registry"
	"github.com/traefikoidc/traefikoidc/resp"
)

// A store is the place of the records. All middlewares with the same options for it
// share one.
type store struct {
	key       string // of the registry
	address   string // of Redis, for the log
	backend   cache.Store
	memory    *memory         // nil: Redis
	sentinels *resp.Sentinels // nil: none name the server
	cluster   *resp.Cluster   // nil: Redis is one server
	hybrid    *hybrid.Hybrid  // nil: only memory
	redis     redis.Options
	health    time.Duration // between two checks of Redis; zero: there are none
	done      context.Context
	end       context.CancelFunc

	mu       sync.Mutex // guards the fields below
	log      *slog.Logger
	reminded bool // a reminder is scheduled
}

// logTo sets the log of the store's lines. It is that of the middleware that was
// configured last, because a store outlives the log of the first.
func (s *store) logTo(log *slog.Logger) {
	log = log.With("address", s.address)
	s.mu.Lock()
	s.log = log
	s.mu.Unlock()
}

// line returns the log of the store's next line.
func (s *store) line() *slog.Logger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

// Backend implements cache.Candidate.
func (s *store) Backend() cache.Store {
	return s.backend
}

// readyPeriod is the time between two checks whether a store has found Redis.
const readyPeriod = 50 * time.Millisecond

// Verify implements cache.Candidate. A store in memory always serves. If Redis refused
// this store, the store makes no attempt for some seconds. Verify waits until the store
// has reached Redis, because it shares nothing before.
func (s *store) Verify(ctx context.Context) error {
	if s.hybrid == nil {
		return nil
	}
	if err := redis.Verify(ctx, s.redis); err != nil {
		return err
	}
	for {
		err := s.hybrid.Health(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		background.Pause(ctx, readyPeriod)
	}
}

// Close ends the connections.
func (s *store) Close() {
	s.end()
	if s.hybrid != nil {
		s.hybrid.Close()
	}
	if s.sentinels != nil {
		s.sentinels.Close()
	}
	if s.cluster != nil {
		s.cluster.Close()
	}
	if s.memory != nil {
		s.memory.leave(s.key)
	}
}

// Run checks Redis, so that an outage and its end are noticed before a user's request
// meets them.
func (s *store) Run() {
	if s.done.Err() != nil {
		return
	}
	_ = s.backend.Health(s.done)
	background.After(s.health, s)
}

// Observe implements hybrid.Observer with a line in the log. It ignores a store that
// was replaced.
func (s *store) Observe(e hybrid.Event, cause error) {
	if registry.Shared.Replaced(s.key) {
		return
	}
	if e == hybrid.FellBack {
		s.remind()
	}
	level := slog.LevelWarn
	switch e {
	case hybrid.Connected, hybrid.Restored, hybrid.TrackingUp, hybrid.Restarted, hybrid.WritesAccepted:
		level = slog.LevelInfo
	}
	if cause == nil {
		s.line().Log(context.Background(), level, e.Text())
		return
	}
	s.line().Log(context.Background(), level, e.Text(), "error", reasonOf(cause))
}

// reasonOf returns the text of a failure of Redis. If Redis refuses every connection,
// it has the options to check.
func reasonOf(cause error) string {
	if errors.Is(cause, resp.ErrNoCluster) {
		return cause.Error() + ": remove redis.clusterMode, or name nodes of a cluster in redis.address"
	}
	if errors.Is(cause, resp.ErrHandshake) {
		return cause.Error() + ": check redis.username, redis.password and redis.db"
	}
	return cause.Error()
}

// reminderPeriod is the time between two lines about a lasting outage of Redis.
const reminderPeriod = 5 * time.Minute

// remind schedules the next line about an outage of Redis, for as long as it lasts.
func (s *store) remind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reminded {
		return
	}
	s.reminded = true
	background.After(reminderPeriod, &reminder{s: s})
}

// A reminder logs that an outage of Redis lasts.
type reminder struct {
	s *store
}

// Run implements background.Runner.
func (r *reminder) Run() {
	s := r.s
	s.mu.Lock()
	s.reminded = false
	s.mu.Unlock()
	if s.done.Err() != nil || s.hybrid == nil {
		return
	}
	lasts, cause := s.hybrid.Outage()
	if !lasts {
		return
	}
	if !registry.Shared.Replaced(s.key) {
		text := "none"
		if cause != nil {
			text = reasonOf(cause)
		}
		s.line().Warn("Redis still does not serve: sessions are NOT shared with other replicas; check redis.address, redis.password, redis.tls and the Redis server", "error", text)
	}
	s.remind()
}

// markerBytes bounds the memory of replay markers.
const markerBytes = 16 << 20

type storeBuilder struct {
	s      *config.Settings
	key    string
	before *store // the store that serves the middleware until now; nil: none
	log    *slog.Logger
}

// Build returns the store of the settings. It connects in the background, and needs no
// reachable Redis.
func (b *storeBuilder) Build() (registry.Resource, error) {
	r := b.s.Redis
	s := &store{key: b.key, address: addressOf(r)}
	s.logTo(b.log)
	s.done, s.end = context.WithCancel(context.Background())
	if inMemory(r) {
		s.memory = memoryAfter(b.before, boundsOf(r))
		s.memory.join(b.key, boundsOf(r))
		s.backend = s.memory.records
		return s, nil
	}
	memory := cache.MemoryOptions{MaxEntries: r.L1Entries, MaxBytes: r.L1Bytes}
	server, err := serverOptions(r)
	if err != nil {
		return nil, err
	}
	if r.SentinelMaster != "" {
		s.sentinels = sentinelsOf(r, server)
		server.Location = s.sentinels.Location()
		s.sentinels.Start()
	}
	if r.Cluster {
		s.cluster = resp.NewCluster(resp.ClusterOptions{Addresses: r.Addresses, Node: server})
		server.Topology = s.cluster.Topology()
		s.cluster.Start()
	}
	s.redis = redis.Options{
		Server: server, Prefix: strings.TrimSuffix(r.KeyPrefix, ":"), NoBreaker: !r.Breaker,
		Breaker: circuitbreaker.Options{Threshold: r.BreakerThreshold, ProbeMax: longestProbe(r.BreakerTimeout)},
	}
	var o hybrid.Observer = s
	hybrid := hybrid.New(hybrid.Options{
		Redis: s.redis, Memory: memory, L1TTL: r.L1TTL, MaxL1Age: r.MaxL1Age, Direct: r.Mode == "redis", Observer: o,
	})
	s.hybrid = hybrid
	s.backend = hybrid
	hybrid.Start()
	if r.HealthCheck {
		s.health = r.HealthInterval
		background.After(s.health, s)
	}
	return s, nil
}

// storeKey returns the registry's key of the store of these settings. Options that do
// not affect a store do not change the key.
func storeKey(r config.Redis) (string, error) {
	if inMemory(r) {
		return keyOf("memory", []any{boundsOf(r)})
	}
	// Certificates that changed in their files make no other store, because dials read
	// them.
	r.TLS.CAPEM = ""
	r.TLS.CertPEM = ""
	r.TLS.KeyPEM = ""
	return keyOf("store", []any{r})
}

// inMemory reports whether sessions are only in memory.
func inMemory(r config.Redis) bool {
	return !r.Enabled || r.Mode == "memory"
}

// addressOf returns the name of a store in the log.
func addressOf(r config.Redis) string {
	switch {
	case inMemory(r):
		return "memory"
	case r.SentinelMaster != "":
		return r.SentinelMaster + " at " + strings.Join(r.Addresses, ",")
	case r.Cluster:
		return "cluster at " + strings.Join(r.Addresses, ",")
	case r.Network == "unix":
		return "unix://" + r.Addresses[0]
	}
	return r.Addresses[0]
}

// longestProbe returns the longest time between two probes of the breaker. Recovery is
// noticed within two seconds for every circuitBreakerTimeout.
func longestProbe(timeout time.Duration) time.Duration {
	if timeout > time.Second {
		return time.Second
	}
	return timeout
}

// sentinelsOf returns the sentinels that name the master.
func sentinelsOf(r config.Redis, server resp.Options) *resp.Sentinels {
	return resp.NewSentinels(resp.SentinelOptions{
		Master: r.SentinelMaster, Addresses: r.Addresses, Server: server,
		Sentinel: resp.Options{
			Username: r.SentinelUsername, Password: r.SentinelPassword, TLS: server.TLS, TLSFiles: server.TLSFiles,
			ClientName: server.ClientName, DialTimeout: r.DialTimeout,
		},
	})
}

// serverOptions maps the settings of the connection to Redis.
func serverOptions(r config.Redis) (resp.Options, error) {
	o := resp.Options{
		Network: r.Network, Address: r.Addresses[0], Username: r.Username, Password: r.Password, DB: r.DB,
		ClientName: "traefikoidc", PoolSize: r.PoolSize, MinIdle: r.MinIdleConns, MaxConnAge: r.MaxConnAge,
		IdleTimeout: r.IdleTimeout, PoolTimeout: r.PoolTimeout, DialTimeout: r.DialTimeout, ReadTimeout: r.ReadTimeout,
		WriteTimeout: r.WriteTimeout, OperationTimeout: r.OperationTimeout, MaxRetries: r.MaxRetries,
	}
	if r.SentinelMaster != "" || r.Cluster {
		o.Address = addressOf(r) // distinguishes the store; sentinels or nodes name the server
	}
	o.MaxRedirects = r.MaxRedirects
	if r.MaxRedirects == 0 {
		o.MaxRedirects = -1
	}
	// Here zero means never, and there the default.
	if r.MaxRetries == 0 {
		o.MaxRetries = -1
	}
	if r.MaxConnAge == 0 {
		o.MaxConnAge = -1
	}
	if r.IdleTimeout == 0 {
		o.IdleTimeout = -1
	}
	if !r.TLS.Enabled {
		return o, nil
	}
	o.TLSFiles = resp.TLSFiles{CA: r.TLS.CAFile, Cert: r.TLS.CertFile, Key: r.TLS.KeyFile}
	o.TLS = &tls.Config{MinVersion: r.TLS.MinVersion, ServerName: r.TLS.ServerName, InsecureSkipVerify: r.TLS.InsecureSkipVerify}
	if r.TLS.CAPEM != "" {
		o.TLS.RootCAs = x509.NewCertPool()
		o.TLS.RootCAs.AppendCertsFromPEM([]byte(r.TLS.CAPEM))
	}
	if r.TLS.CertPEM != "" {
		pair, err := tls.X509KeyPair([]byte(r.TLS.CertPEM), []byte(r.TLS.KeyPEM))
		if err != nil {
			return resp.Options{}, fmt.Errorf("traefikoidc: redis.tls: %w", err)
		}
		o.TLS.Certificates = []tls.Certificate{pair}
	}
	return o, nil
}

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

// A store is where the records are, shared by all middlewares with the same
// options of it.
type store struct {
	key       string // of the registry
	address   string // of the server, for the log
	backend   cache.Store
	memory    *memory         // nil: Redis
	sentinels *resp.Sentinels // nil: the address is that of the server
	hybrid    *hybrid.Hybrid  // nil: memory alone
	redis     redis.Options
	health    time.Duration // between two questions whether Redis is well; zero: it is not asked
	done      context.Context
	end       context.CancelFunc

	mu       sync.Mutex // guards the fields below
	log      *slog.Logger
	reminded bool // a reminder will come
}

// logTo makes log the place of the store's lines. It is that of the middleware that
// was configured last: a store outlives the log of the first.
func (s *store) logTo(log *slog.Logger) {
	log = log.With("address", s.address)
	s.mu.Lock()
	s.log = log
	s.mu.Unlock()
}

// line returns where the store's next line goes.
func (s *store) line() *slog.Logger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

// Backend implements cache.Candidate.
func (s *store) Backend() cache.Store {
	return s.backend
}

// readyPeriod is how often a store is asked whether it has found its server.
const readyPeriod = 50 * time.Millisecond

// Verify implements cache.Candidate: memory always serves. A server that this
// store met while it refused us is left alone for some seconds; Verify waits until
// the store has found it again, because nothing is shared before.
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
		pause, cancel := context.WithTimeout(ctx, readyPeriod)
		<-pause.Done()
		cancel()
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
	if s.memory != nil {
		s.memory.leave(s.key)
	}
}

// Run asks whether Redis is well, so that an outage is noticed before a person's
// request meets it, and comes back.
func (s *store) Run() {
	if s.done.Err() != nil {
		return
	}
	_ = s.backend.Health(s.done)
	background.After(s.health, s)
}

// Observe implements hybrid.Observer with a line in the log. A store that was replaced
// is of no concern to anybody.
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

// reasonOf returns the text of a failure of Redis, with the options to check where the
// server refuses every connection.
func reasonOf(cause error) string {
	if errors.Is(cause, resp.ErrHandshake) {
		return cause.Error() + ": check redis.username, redis.password and redis.db"
	}
	return cause.Error()
}

// reminderPeriod is how often the log says that an outage of Redis lasts.
const reminderPeriod = 5 * time.Minute

// remind has the log say again that Redis does not serve, for as long as it lasts.
func (s *store) remind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reminded {
		return
	}
	s.reminded = true
	background.After(reminderPeriod, &reminder{s: s})
}

// A reminder is the line that says that an outage of Redis lasts.
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

// markBytes bounds what replay markers take in memory.
const markBytes = 16 << 20

type storeBuilder struct {
	s      *config.Settings
	key    string
	before *store // what serves the middleware until now; nil: nothing
	log    *slog.Logger
}

// Build returns the store of the settings. It connects in the background: Redis
// need not be there.
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

// storeKey is the registry's key of the store that is configured so: what does not
// concern a store makes no other one of it.
func storeKey(r config.Redis) (string, error) {
	if inMemory(r) {
		return keyOf("memory", []any{boundsOf(r)})
	}
	// Certificates that were renewed in their files make no other store: dials read them.
	r.TLS.CAPEM = ""
	r.TLS.CertPEM = ""
	r.TLS.KeyPEM = ""
	return keyOf("store", []any{r})
}

// inMemory reports whether sessions are in memory alone.
func inMemory(r config.Redis) bool {
	return !r.Enabled || r.Mode == "memory"
}

// addressOf is what the log calls a store by.
func addressOf(r config.Redis) string {
	switch {
	case inMemory(r):
		return "memory"
	case r.SentinelMaster != "":
		return r.SentinelMaster + " at " + strings.Join(r.Addresses, ",")
	case r.Network == "unix":
		return "unix://" + r.Addresses[0]
	}
	return r.Addresses[0]
}

// longestProbe is how long the breaker waits at most between two probes: recovery
// is noticed within two seconds, whatever circuitBreakerTimeout allows.
func longestProbe(timeout time.Duration) time.Duration {
	if timeout > time.Second {
		return time.Second
	}
	return timeout
}

// sentinelsOf makes the sentinels that say where the master is.
func sentinelsOf(r config.Redis, server resp.Options) *resp.Sentinels {
	return resp.NewSentinels(resp.SentinelOptions{
		Master: r.SentinelMaster, Addresses: r.Addresses, Server: server,
		Sentinel: resp.Options{
			Username: r.SentinelUsername, Password: r.SentinelPassword, TLS: server.TLS, TLSFiles: server.TLSFiles,
			ClientName: server.ClientName, DialTimeout: r.DialTimeout,
		},
	})
}

// serverOptions maps the settings of the link to Redis.
func serverOptions(r config.Redis) (resp.Options, error) {
	o := resp.Options{
		Network: r.Network, Address: r.Addresses[0], Username: r.Username, Password: r.Password, DB: r.DB,
		ClientName: "traefikoidc", PoolSize: r.PoolSize, MinIdle: r.MinIdleConns, MaxConnAge: r.MaxConnAge,
		IdleTimeout: r.IdleTimeout, PoolTimeout: r.PoolTimeout, DialTimeout: r.DialTimeout, ReadTimeout: r.ReadTimeout,
		WriteTimeout: r.WriteTimeout, OperationTimeout: r.OperationTimeout, MaxRetries: r.MaxRetries,
	}
	if r.SentinelMaster != "" {
		o.Address = addressOf(r) // it tells the store apart; the sentinels say where the server is
	}
	// Zero is never here, and the default there.
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

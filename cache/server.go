package cache

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/circuitbreaker"
	"github.com/traefikoidc/traefikoidc/resp"
)

// Keys of the cache's own, after the prefix.
const (
	canaryKey = "epoch" // names the data set; it lives as long as that does
	probeKey  = "probe"
)

// clearPage is how many keys a step of Clear looks at, and removes at most.
const clearPage = 500

// Clear removes every key with the prefix but the canary, in batches, and
// leaves other prefixes alone.
func (r *Redis) Clear(ctx context.Context) error {
	cursor := "0"
	for {
		era, err := r.allow()
		if err != nil {
			return err
		}
		keys, next, err := r.client.Scan(ctx, cursor, escapeGlob(r.prefix)+"*", clearPage)
		if err == nil {
			err = r.unlink(ctx, keys)
		}
		if err = r.done(ctx, era, err); err != nil {
			return err
		}
		if next == "0" {
			break
		}
		cursor = next
	}
	r.mu.Lock()
	watchers := r.watchers
	r.mu.Unlock()
	announceAll(watchers)
	return nil
}

func (r *Redis) unlink(ctx context.Context, keys []string) error {
	command := []string{"UNLINK"}
	for _, k := range keys {
		if strings.HasPrefix(k, r.prefix) && k != r.prefix+canaryKey {
			command = append(command, k)
		}
	}
	if len(command) == 1 {
		return nil
	}
	_, err := r.client.Do(ctx, command...)
	return err
}

var globEscapes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// escapeGlob makes a pattern of SCAN that matches s alone.
func escapeGlob(s string) string {
	return globEscapes.Replace(s)
}

// An identity tells data sets and runs of a server apart.
type identity struct {
	run    string // of the server process; empty where INFO is forbidden
	canary string // of the data set
	evicts string // the policy by which the server may evict keys; empty if it does not
}

// identify asks which server and which data set answer. A data set that has no
// canary gets one.
func (r *Redis) identify(ctx context.Context) (identity, error) {
	era, err := r.allow()
	if err != nil {
		return identity{}, err
	}
	nonce, err := newNonce()
	if err != nil {
		return identity{}, err
	}
	replies, err := r.client.Pipeline(ctx, []resp.Command{
		{"INFO", "server"},
		{"SET", r.prefix + canaryKey, nonce, "NX"},
		{"GET", r.prefix + canaryKey},
		{"INFO", "server"},
		{"INFO", "memory"},
	})
	var canary []byte
	if err == nil {
		canary, err = replies[2].Bytes()
	}
	if err = r.done(ctx, era, err); err != nil {
		return identity{}, fmt.Errorf("%w: canary: %w", ErrUnavailable, err)
	}
	// A pipeline may be finished on a second connection.
	run := infoField(replies[0], "run_id")
	if run != infoField(replies[3], "run_id") {
		return identity{}, fmt.Errorf("%w: server changed meanwhile", ErrUnavailable)
	}
	return identity{run: run, canary: string(canary), evicts: evictionPolicy(replies[4])}, nil
}

// infoField is a field of INFO, or empty.
func infoField(r resp.Reply, name string) string {
	text, err := r.Bytes()
	if err != nil {
		return ""
	}
	_, after, found := strings.Cut("\n"+string(text), "\n"+name+":")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

// evictionPolicy is the policy of a server that may evict what has not expired.
func evictionPolicy(r resp.Reply) string {
	policy := infoField(r, "maxmemory_policy")
	if limit := infoField(r, "maxmemory"); policy == "noeviction" || limit == "0" {
		return ""
	}
	return policy
}

// confirm reads key together with the canary, which it returns second: only from a
// data set that has its canary is an absent key gone.
func (r *Redis) confirm(ctx context.Context, key string) ([]byte, string, error) {
	era, err := r.allow()
	if err != nil {
		return nil, "", err
	}
	replies, err := r.client.Pipeline(ctx, []resp.Command{
		{"GET", r.prefix + key},
		{"GET", r.prefix + canaryKey},
	})
	if err != nil {
		return nil, "", r.done(ctx, era, err)
	}
	value, err := replies[0].Bytes()
	return value, string(replies[1].Str), r.done(ctx, era, err)
}

// prober probes by a write, which a replica refuses.
type prober struct {
	r *Redis
}

// Probe implements circuitbreaker.Prober.
func (p *prober) Probe() circuitbreaker.Outcome {
	ctx := context.Background()
	err := p.r.client.Set(ctx, p.r.prefix+probeKey, []byte("1"), 10*time.Second)
	o := outcome(ctx, err)
	p.r.note(o, err)
	return o
}

// Verify reaches the server that o describes: it dials, authenticates, selects,
// and writes and reads a canary of its own under the prefix. A store whose
// options changed is verified before it is used. Errors say which step failed
// and name no secret.
func Verify(ctx context.Context, o RedisOptions) error {
	server := o.Server
	server.PoolSize = 1
	server.MinIdle = 0
	server.OperationTimeout = server.DialTimeout
	if server.OperationTimeout <= 0 {
		server.OperationTimeout = 5 * time.Second
	}
	client := resp.NewClient(server)
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("cache: verify: reaching Redis: %w", err)
	}
	nonce, err := newNonce()
	if err != nil {
		return err
	}
	key := keyPrefix(o.Prefix) + "verify:" + nonce
	if err := client.Set(ctx, key, []byte(nonce), 10*time.Second); err != nil {
		return fmt.Errorf("cache: verify: writing: %w", err)
	}
	read, err := client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("cache: verify: reading: %w", err)
	}
	if !bytes.Equal(read, []byte(nonce)) {
		return fmt.Errorf("cache: verify: read something else than was written: %w", ErrUnavailable)
	}
	if _, err := client.Del(ctx, key); err != nil {
		return fmt.Errorf("cache: verify: removing: %w", err)
	}
	return nil
}

func newNonce() (string, error) {
	var b [12]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("cache: random: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

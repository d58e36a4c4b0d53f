package traefikoidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/traefikoidc/traefikoidc/cache"
	"github.com/traefikoidc/traefikoidc/internal/auth"
	"github.com/traefikoidc/traefikoidc/internal/config"
	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/registry"
	"github.com/traefikoidc/traefikoidc/session"
)

// acquire finds or builds the middleware of s and name, with the provider and the store
// that it shares with others.
func (m *made) acquire(u *user, s *config.Settings, name string) error {
	entries := entriesOf(s)
	providers, err := m.providers(u, entries)
	if err != nil {
		return err
	}
	key, err := storeKey(s.Redis)
	if err != nil {
		return err
	}
	var sb registry.Builder = &storeBuilder{s: s, key: key, before: servingStore(name), log: m.log}
	st, err := u.acquire(key, sb)
	if err != nil {
		return err
	}
	m.storeKey = key
	m.store = st.(*store)
	m.store.logTo(m.log)
	all, err := names()
	if err != nil {
		return err
	}
	mb := &middlewareBuilder{s: s, entries: entries, name: name, log: m.log, providers: providers, store: m.store, names: all.names, siblings: all.siblings, ages: all.ages}
	if err := mb.findPredecessor(); err != nil {
		return err
	}
	m.served = mb.served
	m.turn = mb.turn
	var builder registry.Builder = mb
	r, err := shared(u, builder, "middleware", name, s, mb.served, mb.turn)
	mb.forgetPredecessor()
	if err != nil {
		return err
	}
	m.middleware = r.(*sharedMiddleware)
	m.middleware.wake()
	return nil
}

// entriesOf returns the settings for each provider of s.
func entriesOf(s *config.Settings) []*config.Settings {
	if s.Providers == nil {
		return []*config.Settings{s}
	}
	var list []*config.Settings
	for i := range s.Providers {
		list = append(list, config.For(s, i))
	}
	return list
}

// providers finds or builds the provider of each entry.
func (m *made) providers(u *user, entries []*config.Settings) ([]*oidc.Provider, error) {
	var list []*oidc.Provider
	for _, s := range entries {
		p, err := m.provider(u, s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (m *made) provider(u *user, s *config.Settings) (*oidc.Provider, error) {
	var b registry.Builder = &providerBuilder{s: s, log: m.log}
	p, err := shared(u, b, "provider", s.Provider, s.Client, s.SignIn.MaxAge, s.Logout.TokenMaxAge)
	if err != nil {
		return nil, err
	}
	return p.(*sharedProvider).provider, nil
}

// names returns the names that all middlewares of the process share. The process has
// one such resource and never closes it, so that all middlewares have the same one.
func names() (*sharedNames, error) {
	var b registry.Builder = &namesBuilder{}
	r, err := registry.Shared.Acquire(context.Background(), "cookie names", b)
	if err != nil {
		return nil, err
	}
	return r.(*sharedNames), nil
}

type sharedNames struct {
	names    *session.CookieNames
	siblings *auth.Siblings
	ages     *session.Ages
}

// Close has no effect: there are no resources to release.
func (n *sharedNames) Close() {}

type namesBuilder struct{}

// Build returns no names yet: each middleware adds its own.
func (b *namesBuilder) Build() (registry.Resource, error) {
	return &sharedNames{names: session.NewCookieNames(), siblings: &auth.Siblings{}, ages: &session.Ages{}}, nil
}

// shared returns the resource that is configured with parts, for u. The registry's key
// is a digest of them, because they contain secrets.
func shared(u *user, b registry.Builder, kind string, parts ...any) (registry.Resource, error) {
	key, err := keyOf(kind, parts)
	if err != nil {
		return nil, err
	}
	return u.acquire(key, b)
}

func keyOf(kind string, parts []any) (string, error) {
	text, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("traefikoidc: %s: %w", kind, err)
	}
	sum := sha256.Sum256(text)
	return kind + " " + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

type middlewareBuilder struct {
	s         *config.Settings
	entries   []*config.Settings // s for each provider
	name      string
	log       *slog.Logger
	providers []*oidc.Provider // by entry
	store     *store
	names     *session.CookieNames // of all middlewares
	siblings  *auth.Siblings
	ages      *session.Ages

	served  string // key of the store that serves the middleware until now, if it is another one
	turn    int    // how often another store took over; then the predecessor is no longer current
	before  *store // the predecessor
	release context.CancelFunc
}

// findPredecessor acquires the store that serves the middleware of this name until now,
// if it is another one.
func (b *middlewareBuilder) findPredecessor() error {
	b.served, b.turn = registry.Shared.Succeed(groupOf(b.name), b.store.key)
	if b.served == "" {
		b.turn = 0
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, err := registry.Shared.Acquire(ctx, b.served, nil)
	if err != nil {
		cancel()
		return err
	}
	b.before = r.(*store)
	b.release = cancel
	if b.store.memory == nil || b.store.memory != b.before.memory {
		return nil
	}
	// It is that store, with other bounds.
	registry.Shared.Serve(groupOf(b.name), b.store.key)
	b.store.memory.fit()
	cancel()
	b.served = ""
	b.turn = 0
	b.before = nil
	b.release = nil
	return nil
}

// servingStore returns the store that serves the middleware of a name until now, or
// nil.
func servingStore(name string) *store {
	r := registry.Shared.Serving(groupOf(name))
	if r == nil {
		return nil
	}
	return r.(*store)
}

// groupOf returns the registry's group of the handlers of one middleware.
func groupOf(name string) string {
	return "middleware " + name
}

// forgetPredecessor releases the predecessor if no middleware was built that needs it.
func (b *middlewareBuilder) forgetPredecessor() {
	if b.release != nil {
		b.release()
	}
}

// A sharedMiddleware is a middleware, with the trial of its store while the store
// changes.
type sharedMiddleware struct {
	middleware *auth.Middleware   // nil: there are several
	several    *auth.Several      // nil: there is one
	trial      *cache.Trial       // nil: the store did not change
	release    context.CancelFunc // of the store before; nil: there is none
	log        *slog.Logger
}

// Close releases the stores.
func (m *sharedMiddleware) Close() {
	m.endTrial()
	if m.several != nil {
		m.several.Close()
		return
	}
	m.middleware.Close()
}

func (m *sharedMiddleware) endTrial() {
	if m.trial != nil {
		m.trial.Close()
		m.release()
	}
}

// A claim requests that a store serve the handlers of one middleware.
type claim struct {
	group, key string // of the registry
}

// Wanted implements cache.Claim.
func (c *claim) Wanted() bool {
	return registry.Shared.Wants(c.group, c.key)
}

// Serve implements cache.Claim.
func (c *claim) Serve() bool {
	return registry.Shared.Serve(c.group, c.key)
}

// wake resumes the trial of a middleware that is found again. It had ended when other
// options were wanted.
func (m *sharedMiddleware) wake() {
	if m.trial != nil {
		m.trial.Wake()
	}
}

// settled logs the result of changed options.
func (m *sharedMiddleware) settled(err error) {
	if err != nil {
		m.log.Warn("the changed Redis options do not work; the store before them stays in use", "error", err.Error())
		return
	}
	m.log.Info("the changed Redis options work and are in use")
	m.release()
}

// Build returns the middleware of the settings, and logs once the warnings about them.
func (b *middlewareBuilder) Build() (registry.Resource, error) {
	shared := &sharedMiddleware{log: b.log.With("address", b.store.address)}
	all, err := b.optionsOfAll()
	if err != nil {
		return nil, fmt.Errorf("traefikoidc: %w", err)
	}
	backend := b.backend(shared)
	for i := range all {
		all[i].Backend = backend
	}
	if err := b.make(shared, all); err != nil {
		shared.endTrial()
		return nil, fmt.Errorf("traefikoidc: %w", err)
	}
	for _, w := range b.s.Warnings {
		b.log.Warn(w)
	}
	for _, s := range b.entries {
		b.log.Info("middleware ready", "issuer", s.Provider.Issuer, "client", s.Client.ID, "allowed", allowedText(s.Access))
	}
	return shared, nil
}

// optionsOfAll returns the options of the middleware of each entry.
func (b *middlewareBuilder) optionsOfAll() ([]auth.Options, error) {
	var all []auth.Options
	for i, s := range b.entries {
		o, err := b.options(s, b.providers[i])
		if err != nil {
			return nil, err
		}
		if b.s.Providers != nil {
			b.addEntry(&o, i)
		}
		all = append(all, o)
	}
	return all, nil
}

// make creates the middleware of each entry in shared.
func (b *middlewareBuilder) make(shared *sharedMiddleware, options []auth.Options) error {
	var all []*auth.Middleware
	for _, o := range options {
		m, err := auth.New(o)
		if err != nil {
			for _, m := range all {
				m.Close()
			}
			return err
		}
		all = append(all, m)
	}
	if b.s.Providers == nil {
		shared.middleware = all[0]
	} else {
		shared.several = auth.NewSeveral(all, b.s.DefaultProvider)
	}
	return nil
}

// backend returns the place of the records. While the store changes, it is a switch, and
// shared gets the trial of the new store.
func (b *middlewareBuilder) backend(shared *sharedMiddleware) cache.Backend {
	if b.before == nil {
		return b.store.backend
	}
	stores := cache.NewSwitch(b.before.backend)
	var next cache.Candidate = b.store
	var claim cache.Claim = &claim{group: groupOf(b.name), key: b.store.key}
	shared.release = b.release
	b.release = nil
	shared.trial = cache.NewTrial(cache.TrialOptions{
		Switch: stores, Next: next, Claim: claim, Linger: registry.Linger, Settled: shared.settled,
	})
	shared.trial.Start()
	return stores
}

// allowedText returns the options that decide about access, for the log. Lists may have
// many names, so it has their lengths.
func allowedText(a config.Access) string {
	var who []string
	if n := len(a.Users); n > 0 {
		who = append(who, fmt.Sprintf("allowedUsers (%d)", n))
	}
	if n := len(a.Domains); n > 0 {
		who = append(who, fmt.Sprintf("allowedUserDomains (%d)", n))
	}
	text := strings.Join(who, " or ")
	if n := len(a.RolesAndGroups); n > 0 {
		if text != "" {
			text = "(" + text + ") and "
		}
		text += fmt.Sprintf("allowedRolesAndGroups (%d)", n)
	}
	switch {
	case a.Closed:
		text = "nobody"
	case text == "":
		text = "everyone the provider signs in"
	}
	if n := len(a.Rules); n > 0 {
		text = fmt.Sprintf("accessRules (%d), else %s", n, text)
	}
	return text
}

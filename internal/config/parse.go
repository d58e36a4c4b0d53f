package config

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// Parse returns the settings that c means in env, or one error that names every
// problem. It does not change c, which Traefik gives to many handlers, and it makes no
// network request.
func Parse(c *Config, env Environment) (*Settings, error) {
	if c == nil {
		c = New()
	}
	r := &reader{env: env}
	s := r.all(c)
	if err := r.err(); err != nil {
		return nil, err
	}
	s.Warnings = r.warnings
	return s, nil
}

// all reads every option of c, for one provider or for several.
func (r *reader) all(c *Config) *Settings {
	if len(c.Providers) > 0 {
		own := *c
		return r.several(&own)
	}
	r.one(c)
	s := r.settings(c)
	r.unsupported(c, s)
	return s
}

// settings reads every option of c.
func (r *reader) settings(c *Config) *Settings {
	r.unknown("", c.Extra, Config{})
	r.example = c.ProviderURL == publishedIssuer
	s := &Settings{}
	s.Log = r.log(c)
	s.Provider = r.provider(c)
	s.Client = r.client(c)
	s.SignIn = r.signIn(c)
	s.Logout = r.logout(c, s.SignIn)
	s.Session = r.session(c)
	s.Access = r.access(c)
	r.rules(c, &s.Access, s.Provider.Issuer)
	s.Bearer = r.bearer(c, s.Client.ID)
	s.Headers = r.headers(c, s.Access.Rules)
	s.Security = r.security(&c.SecurityHeaders, c.ForceHTTPS)
	s.Pages = r.pages(c)
	s.Limits = r.limits(c)
	s.Registration = r.registration(&c.DynamicClientRegistration)
	if redis, written := r.redisOptions(&c.Redis); written {
		s.Redis = r.redis(redis)
	}
	r.together(c, s)
	return s
}

// together checks values that depend on more than one group.
func (r *reader) together(c *Config, s *Settings) {
	r.distinctPaths(s)
	if s.Client.Secret == "" && !s.SignIn.PKCE {
		r.problem("enablePKCE", "a client without clientSecret needs it")
	}
	if s.Session.Secure && hasScheme(s.SignIn.CallbackURL, "http") {
		r.problem("callbackURL", "must be https, or forceHTTPS must be false")
	}
	if s.Session.CookieDomain != "" && s.SignIn.CallbackURL != "" && !inDomain(hostOf(s.SignIn.CallbackURL), s.Session.CookieDomain) {
		r.problem("cookieDomain", "does not hold the host of callbackURL, so no sign-in could end")
	}
	for _, alg := range s.Provider.SigningAlgs {
		if oidc.NeedsSecret(alg) && s.Client.Secret == "" {
			r.problem("idTokenSigningAlgs", alg+" needs clientSecret")
		}
	}
}

// distinctPaths checks that each path that the plugin serves has one meaning.
func (r *reader) distinctPaths(s *Settings) {
	options := []string{"callbackURL", "logoutURL", "backchannelLogoutURL", "frontchannelLogoutURL"}
	paths := []string{s.SignIn.CallbackPath, s.Logout.Path, s.Logout.BackchannelPath, s.Logout.FrontchannelPath}
	for i := range paths {
		for j := 0; j < i; j++ {
			if paths[i] != "" && paths[i] == paths[j] {
				r.problem(options[i], "is the same path as "+options[j])
			}
		}
		if paths[i] != "" && r.leadsTo(s, paths[i]) {
			r.problem("postLogoutRedirectURI", "is the path of "+options[i]+": a sign-out would never end there; name a page of the site")
		}
	}
}

// leadsTo reports whether postLogoutRedirectURI is a path that the plugin serves: as a
// path, or as a URL on the host of callbackURL.
func (r *reader) leadsTo(s *Settings, path string) bool {
	to, _, _ := strings.Cut(s.Logout.PostLogoutURI, "?")
	if strings.HasPrefix(to, "/") {
		return to == path
	}
	return s.SignIn.CallbackURL != "" && strings.EqualFold(hostOf(to), hostOf(s.SignIn.CallbackURL)) && strings.HasSuffix(to, hostOf(to)+path)
}

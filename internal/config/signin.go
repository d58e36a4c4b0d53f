package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// signIn reads the addresses and parameters of a sign-in.
func (r *reader) signIn(c *Config) SignIn {
	s := SignIn{
		PKCE:         c.EnablePKCE,
		DetectReplay: !c.DisableReplayDetection,
		Scopes:       r.scopes(c),
	}
	s.CallbackPath, s.CallbackURL = r.callback(c)
	s.Params, s.MaxAge = r.params("authorizationParams", c.AuthorizationParams)
	if len(c.ExtraAuthParams) > 0 {
		if len(c.AuthorizationParams) > 0 {
			r.problem("extraAuthParams", "is another name of authorizationParams: write all parameters under one of them")
		}
		s.Params, s.MaxAge = r.params("extraAuthParams", c.ExtraAuthParams)
	}
	s.ReplayFallback = r.choice("replayProtection", c.ReplayProtection, "allow", []string{"allow", "deny"})
	if c.DisableReplayDetection {
		r.warn("disableReplayDetection", "a sign-in response that was used may be used again")
	}
	return s
}

// callback reads callbackURL, a path or an absolute URL. It returns the path, and the
// URL if it is absolute.
func (r *reader) callback(c *Config) (string, string) {
	const option = "callbackURL"
	s := r.required(option, c.CallbackURL, "a path such as /oauth2/callback, or an absolute URL")
	if s == "" {
		return "", ""
	}
	if strings.HasPrefix(s, "/") {
		return r.servedPath(option, s), ""
	}
	if fault := relativeFault(s); fault != "" {
		r.problem(option, fault)
		return "", ""
	}
	u, fault := parseURL(s)
	if fault == "" {
		fault = urlPathFault(u, s)
	}
	if fault != "" {
		r.problem(option, fault)
		return "", ""
	}
	return u.Path, s
}

// scopeChars are those of RFC 6749, section 3.3.
const scopeChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'()*+,-./:;<=>?@[]^_`{|}~"

// scopes adds the operator's scopes to the default ones, or uses only the operator's.
// Openid is always among them, because without it there is no ID token.
func (r *reader) scopes(c *Config) []string {
	const option = "scopes"
	out := []string{"openid", "profile", "email"}
	if c.OverrideScopes {
		out = []string{"openid"}
	}
	for _, element := range r.list(option, c.Scopes) {
		for _, scope := range strings.Fields(element) {
			if !only(scope, scopeChars) {
				r.problem(option, "has an element with a character that no scope may have")
				continue
			}
			if !contains(out, scope) {
				out = append(out, scope)
			}
		}
	}
	if len(out) > 100 {
		r.problem(option, "has more than 100 elements")
	}
	return out
}

func contains(list []string, s string) bool {
	for _, element := range list {
		if element == s {
			return true
		}
	}
	return false
}

// params reads an option with parameters of the authorization request. Those that the
// plugin sets itself cannot be replaced.
func (r *reader) params(option string, raw map[string]any) (map[string]string, time.Duration) {
	var out map[string]string
	var maxAge time.Duration
	for _, p := range r.texts(option, raw) {
		path := option + "." + brief(p.Name)
		switch {
		case oidc.IsReserved(p.Name):
			r.problem(path, "is set by the middleware and cannot be replaced")
			continue
		case !only(p.Name, tokenChars):
			r.problem(path, "is no name of a parameter")
			continue
		case p.Value == "":
			continue
		case p.Name == "max_age":
			maxAge = r.maxAge(path, p.Value)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[p.Name] = p.Value
	}
	if len(out) > 50 {
		r.problem(option, fmt.Sprintf("has more than %d elements", 50))
	}
	return out, maxAge
}

// maxAge reads the max_age of OpenID Connect Core, section 3.1.2.1.
func (r *reader) maxAge(option, s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxSeconds {
		r.problem(option, "must be a number of seconds, at least 1; to ask for a sign-in every time, write prompt: login")
		return 0
	}
	return time.Duration(n) * time.Second
}

// logout reads the paths and pages of sign-outs. The path is next to the callback's
// unless the operator chooses another.
func (r *reader) logout(c *Config, callback SignIn) Logout {
	l := Logout{
		Path:          r.sitePath("logoutURL", c.LogoutURL, callback),
		PostLogoutURI: r.postLogout(c),
	}
	if c.LogoutURL == "" && callback.CallbackPath != "" {
		l.Path = callback.CallbackPath + "/logout"
	}
	l.BackchannelPath = r.channel("backchannelLogoutURL", c.BackchannelLogoutURL, "enableBackchannelLogout", c.EnableBackchannelLogout, callback)
	l.TokenMaxAge = r.duration("backchannelMaxAge", c.BackchannelMaxAge, 24*time.Hour)
	if l.TokenMaxAge > 0 && !c.EnableBackchannelLogout {
		r.warn("backchannelMaxAge", "has no effect without enableBackchannelLogout")
	}
	l.FrontchannelPath = r.channel("frontchannelLogoutURL", c.FrontchannelLogoutURL, "enableFrontchannelLogout", c.EnableFrontchannelLogout, callback)
	return l
}

// channel reads the path of a logout channel. The path is required if the channel is
// on. If it is off, channel returns "".
func (r *reader) channel(option, raw, toggle string, on bool, callback SignIn) string {
	path := r.sitePath(option, raw, callback)
	if on && raw == "" {
		r.problem(option, "is required by "+toggle)
	}
	if !on {
		if path != "" {
			r.warn(option, "has no effect without "+toggle)
		}
		return ""
	}
	return path
}

// postLogout reads postLogoutRedirectURI, a path of the site or a URL.
func (r *reader) postLogout(c *Config) string {
	const option = "postLogoutRedirectURI"
	s := r.textOr(option, c.PostLogoutRedirectURI, "/")
	fault := ""
	if strings.HasPrefix(s, "/") {
		if strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\t#") {
			fault = "must be a path of this site, or an absolute URL"
		} else if len(s) > maxURL {
			fault = "is longer than 2048 bytes"
		}
	} else if fault = relativeFault(s); fault == "" {
		u, bad := parseURL(s)
		fault = bad
		if fault == "" && u.Scheme != "https" && c.ForceHTTPS {
			fault = "must be https, or forceHTTPS must be false"
		}
	}
	if fault != "" {
		r.problem(option, fault)
	}
	return s
}

package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// maxProviders bounds providers. Each request looks for the cookie of each.
const maxProviders = 20

// providerName matches the name of an entry of providers. It is a part of paths and of
// cookie names.
var providerName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$`)

// inheritedOptions are the options of an entry of providers that it takes from the top
// level if it does not set them. It never takes another one: a client secret belongs to
// one provider only.
var inheritedOptions = `AllowPrivateIPAddresses ProxyFromEnvironment Userinfo Scopes OverrideScopes AuthorizationParams
	BackchannelMaxAge UserIdentifierClaim UserDomainClaim GroupClaimName RoleClaimName EmailVerified`

// listOptions are the allowed lists.
var listOptions = []string{"AllowedUsers", "AllowedUserDomains", "AllowedRolesAndGroups"}

// For returns the settings of one of the providers of s, by its index.
func For(s *Settings, i int) *Settings {
	x := *s
	o := s.Providers[i]
	x.Provider = o.Provider
	x.Client = o.Client
	x.SignIn = o.SignIn
	x.Logout = o.Logout
	x.Session = o.Session
	x.Access = o.Access
	x.Providers = nil
	return &x
}

// one refuses options that only apply to several providers.
func (r *reader) one(c *Config) {
	if c.Providers != nil {
		r.problem("providers", "is empty; leave it out if there is one provider")
	}
	if r.text("defaultProvider", c.DefaultProvider) != "" {
		r.problem("defaultProvider", "names an entry of providers, and there is none")
	}
	for i, rule := range c.AccessRules {
		if rule.Provider != "" {
			r.problem(fmt.Sprintf("accessRules[%d].provider", i), "names an entry of providers, and there is none")
		}
	}
}

// A severalReader reads the options of several providers. The options of an entry are
// read like those of a configuration with one provider.
type severalReader struct {
	r       *reader
	c       *Config
	names   []string
	issuers []string
	seen    map[string]bool // problems and warnings, which entries share
	paths   map[string]string
	clients map[string]string
}

// several reads the options of a configuration with several providers.
func (r *reader) several(c *Config) *Settings {
	v := &severalReader{r: r, c: c, seen: map[string]bool{}, paths: map[string]string{}, clients: map[string]string{}}
	v.topLevel()
	v.nameAll()
	usual := v.usual()
	v.ruleProviders()
	var s *Settings
	var all []OneProvider
	for i := range c.Providers {
		x := v.entry(i, i == usual)
		if s == nil || i == usual {
			s = x
		}
		all = append(all, OneProvider{
			Name: v.names[i], Label: v.label(i), Provider: x.Provider, Client: x.Client, SignIn: x.SignIn, Logout: x.Logout, Session: x.Session, Access: x.Access,
		})
	}
	s.Providers = all
	s.DefaultProvider = usual
	s.ChoosePath, _ = (&reader{env: r.env}).callback(c)
	v.distinctPaths(s)
	return s
}

// topLevel refuses the options at the top level that belong into an entry.
func (v *severalReader) topLevel() {
	if len(v.c.Providers) > maxProviders {
		v.r.problem("providers", fmt.Sprintf("has more than %d elements", maxProviders))
		v.c.Providers = v.c.Providers[:maxProviders]
	}
	top := reflect.ValueOf(v.c).Elem()
	entry := reflect.TypeOf(ProviderOptions{})
	for i := 0; i < entry.NumField(); i++ {
		name := entry.Field(i).Name
		field := top.FieldByName(name)
		if name == "Extra" || name == "EnablePKCE" || !field.IsValid() || among(inheritedOptions, name) || among(strings.Join(listOptions, " "), name) {
			continue
		}
		if !field.IsZero() {
			v.r.problem(optionName(name), "belongs into the entries of providers, because it is about one provider")
		}
	}
	if v.c.DynamicClientRegistration.Enabled {
		v.r.problem("dynamicClientRegistration.enabled", "cannot be used with providers")
	}
}

func among(words, s string) bool {
	return contains(strings.Fields(words), s)
}

// nameAll reads the names and the issuers of the entries.
func (v *severalReader) nameAll() {
	for i, e := range v.c.Providers {
		at := fmt.Sprintf("providers[%d].name", i)
		name := v.r.required(at, e.Name, "a short name, such as google, for paths, cookies and rules")
		switch {
		case name == "":
		case !providerName.MatchString(name):
			v.r.problem(at, "must be 1 to 32 of a-z, 0-9 and -, and not begin or end with -")
		case contains(v.names, name):
			v.r.problem(at, "is the name of another entry")
		}
		v.names = append(v.names, name)
		issuer := (&reader{env: v.r.env}).text("", e.ProviderURL)
		v.issuers = append(v.issuers, issuer)
	}
}

// label returns the text by which users know a provider.
func (v *severalReader) label(i int) string {
	at := fmt.Sprintf("providers[%d].label", i)
	label := v.r.textOr(at, v.c.Providers[i].Label, v.names[i])
	if len(label) > 100 {
		v.r.problem(at, "is longer than 100 bytes")
	}
	return label
}

// usual returns the index of defaultProvider; -1: none.
func (v *severalReader) usual() int {
	name := v.r.text("defaultProvider", v.c.DefaultProvider)
	lists := setLists(reflect.ValueOf(v.c).Elem())
	if name == "" {
		for _, list := range lists {
			v.r.problem(list, "applies to defaultProvider only, and that is not set; set it, or write the list in the entries of providers")
		}
		return -1
	}
	for i, n := range v.names {
		if n == name {
			return i
		}
	}
	v.r.choice("defaultProvider", name, "", v.names)
	return -1
}

// setLists returns the allowed lists that are set in a Config or in an entry.
func setLists(of reflect.Value) []string {
	var list []string
	for _, name := range listOptions {
		if !of.FieldByName(name).IsNil() {
			list = append(list, optionName(name))
		}
	}
	return list
}

// ruleProviders checks the option provider of accessRules.
func (v *severalReader) ruleProviders() {
	for i, rule := range v.c.AccessRules {
		v.r.choice(fmt.Sprintf("accessRules[%d].provider", i), rule.Provider, "", v.names)
	}
}

// entry reads the entry with an index.
func (v *severalReader) entry(i int, usual bool) *Settings {
	at := fmt.Sprintf("providers[%d].", i)
	e := &v.c.Providers[i]
	v.r.unknown(at, e.Extra, ProviderOptions{})
	c, own := v.config(i, usual)
	x := &reader{env: v.r.env, providers: append(append([]string{}, v.names...), v.issuers...)}
	s := x.settings(c)
	x.unsupported(c, s)
	v.adopt(at, own, x)
	v.closed(i, usual, s)
	if other := v.clients[s.Provider.Issuer+"\n"+s.Client.ID]; other != "" && s.Provider.Issuer != "" && s.Client.ID != "" {
		v.r.problem(at+"clientID", "is that of "+other+" at the same provider; sessions of two entries need two clients")
	}
	v.clients[s.Provider.Issuer+"\n"+s.Client.ID] = fmt.Sprintf("providers[%d]", i)
	s.SignIn.CallbackPath += "/" + v.names[i]
	if s.SignIn.CallbackURL != "" {
		s.SignIn.CallbackURL += "/" + v.names[i]
	}
	if s.Logout.BackchannelPath != "" {
		s.Logout.BackchannelPath += "/" + v.names[i]
	}
	if s.Logout.FrontchannelPath != "" {
		s.Logout.FrontchannelPath += "/" + v.names[i]
	}
	s.Session.CookieName += "." + v.names[i]
	return s
}

// config returns the configuration that an entry means, and the options that it sets
// itself.
func (v *severalReader) config(i int, usual bool) (*Config, []string) {
	c := *v.c
	c.Providers = nil
	c.DefaultProvider = ""
	to := reflect.ValueOf(&c).Elem()
	from := reflect.ValueOf(v.c.Providers[i])
	own := []string{"providerURL", "clientID"}
	for n := 0; n < from.NumField(); n++ {
		name := from.Type().Field(n).Name
		field := to.FieldByName(name)
		switch {
		case name == "Extra" || name == "EnablePKCE" || !field.IsValid():
		case !from.Field(n).IsZero():
			field.Set(from.Field(n))
			own = append(own, optionName(name))
		case usual && contains(listOptions, name):
		case !among(inheritedOptions, name):
			field.Set(reflect.Zero(field.Type()))
		}
	}
	if e := v.c.Providers[i]; e.EnablePKCE != nil {
		text, _ := scalar(e.EnablePKCE)
		c.EnablePKCE = v.r.boolean(fmt.Sprintf("providers[%d].enablePKCE", i), text)
		own = append(own, "enablePKCE")
	}
	if len(v.c.Providers[i].AuthorizationParams) > 0 {
		c.ExtraAuthParams = nil
	}
	return &c, own
}

// adopt takes over the problems and warnings of x, which read an entry. The options that
// the entry sets itself are named with their place.
func (v *severalReader) adopt(at string, own []string, x *reader) {
	for _, p := range x.problems {
		if p = placed(at, own, p); !v.seen[p] {
			v.seen[p] = true
			v.r.problems = append(v.r.problems, p)
		}
	}
	for _, w := range x.warnings {
		if w = placed(at, own, w); !v.seen[w] {
			v.seen[w] = true
			v.r.warnings = append(v.r.warnings, w)
		}
	}
}

// placed returns a problem with the place of its option.
func placed(at string, own []string, problem string) string {
	end := strings.IndexAny(problem, ".:[")
	if end > 0 && contains(own, problem[:end]) {
		return at + problem
	}
	return problem
}

// closed decides about the users of an entry where no rule matches. The allowed lists of
// the top level apply to defaultProvider only. Other providers need lists of their own,
// or a rule that names them: their users would all pass otherwise.
func (v *severalReader) closed(i int, usual bool, s *Settings) {
	lists := setLists(reflect.ValueOf(v.c).Elem())
	own := setLists(reflect.ValueOf(v.c.Providers[i]))
	at := fmt.Sprintf("providers[%d]", i)
	switch {
	case len(lists) == 0:
	case usual && len(own) > 0:
		v.r.problem(at+"."+own[0], "the top level has allowed lists for this provider, too; write all of them in one place")
	case usual || len(own) > 0:
	case !v.named(i):
		v.r.problem(at, "the allowed lists of the top level apply to defaultProvider only, so every user of this provider would pass; "+
			"write allowedUsers, allowedUserDomains or allowedRolesAndGroups in this entry, or an access rule with Provider(`"+brief(v.names[i])+"`)")
	default:
		s.Access.Closed = true
	}
}

// named reports whether an access rule names an entry.
func (v *severalReader) named(i int) bool {
	for _, rule := range v.c.AccessRules {
		if rule.Provider == v.names[i] {
			return true
		}
		if !strings.Contains(rule.Require, "Provider(") {
			continue
		}
		for _, text := range []string{v.names[i], v.issuers[i]} {
			if strings.Contains(rule.Require, "`"+text+"`") || strings.Contains(rule.Require, `"`+text+`"`) {
				return true
			}
		}
	}
	return false
}

// distinctPaths checks that each path of the plugin has one meaning. The providers share
// the path of the sign-out.
func (v *severalReader) distinctPaths(s *Settings) {
	v.path(s.ChoosePath, "callbackURL")
	v.path(s.Logout.Path, "logoutURL")
	for i, p := range s.Providers {
		at := fmt.Sprintf("providers[%d].name", i)
		v.path(p.SignIn.CallbackPath, at)
		v.path(p.Logout.BackchannelPath, at)
		v.path(p.Logout.FrontchannelPath, at)
		for _, path := range []string{p.SignIn.CallbackPath, p.Logout.BackchannelPath, p.Logout.FrontchannelPath} {
			if path != "" && v.r.leadsTo(s, path) {
				v.r.problem("postLogoutRedirectURI", "is a path of "+at+": a sign-out would never end there; name a page of the site")
			}
		}
	}
}

func (v *severalReader) path(path, option string) {
	if path == "" {
		return
	}
	if other := v.paths[path]; other != "" && option != "logoutURL" {
		v.r.problem(option, "makes the path "+path+" that of "+other+", too; take another name")
	}
	v.paths[path] = option
}

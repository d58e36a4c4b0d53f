package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// goodKey is made anew for each run: a key in these sources would be a published one.
var goodKey = oidctest.NewSecret()

// minimal returns the smallest configuration that is valid.
func minimal() *Config {
	c := New()
	c.ProviderURL = "https://id.example.com"
	c.ClientID = "app"
	c.ClientSecret = "client-secret"
	c.CallbackURL = "/oauth2/callback"
	c.SessionEncryptionKey = goodKey
	return c
}

// environment returns one for tests, with variables, and files by their path.
func environment(variables, files map[string]string) Environment {
	return Environment{
		Lookup: func(name string) (string, bool) {
			value, found := variables[name]
			return value, found
		},
		ReadFile: func(path string, limit int64) ([]byte, error) {
			text, found := files[path]
			switch {
			case !found:
				return nil, os.ErrNotExist
			case int64(len(text)) > limit:
				return nil, errTooLong
			}
			return []byte(text), nil
		},
	}
}

func TestMinimal(t *testing.T) {
	s, err := Parse(minimal(), Environment{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Logout.Path != "/oauth2/callback/logout" || s.Session.CookieName != "__Host-oidc" || len(s.Warnings) != 0 {
		t.Errorf("logout %q, cookie %q, %d warnings", s.Logout.Path, s.Session.CookieName, len(s.Warnings))
	}
	if got := strings.Join(s.SignIn.Scopes, " "); got != "openid profile email" {
		t.Errorf("scopes %q", got)
	}
	if s.Bearer.Audience != "app" || !s.SignIn.PKCE || !s.Session.Secure || s.Redis.Enabled {
		t.Error("a default is not what OPTIONS says")
	}
}

func TestNothingGiven(t *testing.T) {
	for _, c := range []*Config{nil, {}, New()} {
		_, err := Parse(c, Environment{})
		if err == nil {
			t.Fatal("no problem")
		}
		for _, name := range []string{"providerURL", "clientID", "callbackURL", "sessionEncryptionKey"} {
			if !strings.Contains(err.Error(), name+": is required") {
				t.Errorf("%s is not asked for: %v", name, err)
			}
		}
	}
}

func TestConfigIsNotChanged(t *testing.T) {
	build := func() *Config {
		c := minimal()
		c.Scopes = []string{"${SCOPES}", " groups "}
		c.AllowedUserDomains = []string{"@EXAMPLE.com"}
		c.Headers = []HeaderOptions{{Name: "X-A", Value: "${A}"}}
		c.AuthorizationParams = map[string]any{"prompt": "login"}
		c.SessionEncryptionKey = []any{goodKey}
		c.Redis.Address = "rediss://u:p@redis/2"
		c.Redis.EnableTLS = "true"
		return c
	}
	c := build()
	if _, err := Parse(c, environment(map[string]string{"SCOPES": "a,b", "A": "x"}, nil)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, build()) {
		t.Error("Parse changed its Config")
	}
}

// A problem row changes a valid configuration, by options, and has a part of the error
// of Parse; empty: the configuration is valid.
type problemRow struct {
	name string
	set  map[string]any
	want string
}

func runProblems(t *testing.T, rows []problemRow, env Environment) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := minimal()
			for name, value := range row.set {
				set(t, c, name, value)
			}
			if row.want != "" {
				wantProblem(t, c, env, row.want)
				return
			}
			past(t, c, env)
		})
	}
}

type o = map[string]any

func TestURLs(t *testing.T) {
	runProblems(t, []problemRow{
		{"issuer with a slash", o{"providerURL": "https://id.example.com/realms/a/"}, ""},
		{"issuer without scheme", o{"providerURL": "id.example.com"}, "providerURL: must be an absolute URL"},
		{"issuer with query", o{"providerURL": "https://id.example.com/?a=b"}, "providerURL: must not have a query"},
		{"issuer with fragment", o{"providerURL": "https://id.example.com/#a"}, "providerURL: must not have a fragment"},
		{"issuer with user", o{"providerURL": "https://u:p@id.example.com/"}, "providerURL: must not hold a user name"},
		{"discovery URL", o{"providerURL": "https://id.example.com/.well-known/openid-configuration"}, "providerURL: is the issuer: leave"},
		{"issuer with a placeholder", o{"providerURL": "https://login.microsoftonline.com/{tenant}/v2.0"}, "providerURL: has a placeholder"},
		{"issuer with another placeholder", o{"providerURL": "https://id.example.com/realms/<realm>"}, "providerURL: has a placeholder"},
		{"issuer of http", o{"providerURL": "http://id.example.com"}, "providerURL: must be https"},
		{"issuer of http on this machine", o{"providerURL": "http://127.0.0.1:9000"}, ""},
		{"issuer of http, plain site", o{"providerURL": "http://id.example.com", "forceHTTPS": false}, ""},
		{"issuer of http, own network", o{"providerURL": "http://keycloak:8080/realms/a", "allowPrivateIPAddresses": true}, ""},
		{"issuer of ftp", o{"providerURL": "ftp://id.example.com"}, "providerURL: must be an absolute URL"},
		{"sign-out leads to the sign-out", o{"postLogoutRedirectURI": "/oauth2/callback/logout"}, "postLogoutRedirectURI: is the path of logoutURL"},
		{"sign-out leads to the sign-out, with a query", o{"postLogoutRedirectURI": "/bye?a=b", "logoutURL": "/bye"}, "postLogoutRedirectURI: is the path of logoutURL"},
		{"sign-out leads to the callback", o{"postLogoutRedirectURI": "/oauth2/callback"}, "postLogoutRedirectURI: is the path of callbackURL"},
		{"sign-out leads to the sign-out, as a URL", o{"callbackURL": "https://app.example.com/cb", "postLogoutRedirectURI": "https://app.example.com/cb/logout"}, "postLogoutRedirectURI: is the path of logoutURL"},
		{"sign-out leads to another site", o{"callbackURL": "https://app.example.com/cb", "postLogoutRedirectURI": "https://www.example.com/cb/logout"}, ""},
		{"own endpoints", o{"authorizationURL": "https://a.example/auth", "tokenURL": "https://a.example/token", "jwksURL": "https://a.example/keys"}, ""},
		{"own endpoints and discovery", o{"authorizationURL": "https://a.example/auth", "tokenURL": "https://a.example/token", "jwksURL": "https://a.example/keys", "discoveryURL": "https://a.example/d"}, "discoveryURL: has no effect beside"},
		{"an endpoint of http", o{"tokenURL": "http://a.example/token"}, "tokenURL: must be https"},
		{"no nonce and no PKCE", o{"allowMissingNonce": true, "enablePKCE": false}, "allowMissingNonce: needs enablePKCE"},
		{"parameters under both names", o{"authorizationParams": o{"prompt": "login"}, "extraAuthParams": o{"hd": "example.com"}}, "extraAuthParams: is another name of authorizationParams"},
		{"a parameter of ours under the other name", o{"extraAuthParams": o{"state": "x"}}, "extraAuthParams.state: is set by the middleware"},
		{"a logout token of any age", o{"backchannelMaxAge": "1000h"}, "backchannelMaxAge: must be a duration"},
		{"callback as URL", o{"callbackURL": "https://app.example.com/cb"}, ""},
		{"callback of http", o{"callbackURL": "http://app.example.com/cb"}, "callbackURL: must be https, or forceHTTPS must be false"},
		{"callback of http, plain site", o{"callbackURL": "http://app.example.com/cb", "forceHTTPS": false}, ""},
		{"callback without path", o{"callbackURL": "https://app.example.com"}, "callbackURL: must have a path"},
		{"callback with query", o{"callbackURL": "https://app.example.com/cb?x=1"}, "callbackURL: must not have a query"},
		{"callback escaped", o{"callbackURL": "https://app.example.com/c%62"}, "callbackURL: must"},
		{"callback at the root", o{"callbackURL": "/"}, "callbackURL: must not be the root"},
		{"callback with dots", o{"callbackURL": "/a/../b"}, "callbackURL: must be a canonical path"},
		{"callback with two slashes", o{"callbackURL": "//evil.example/cb"}, "callbackURL: must be a canonical path"},
		{"callback with slash at end", o{"callbackURL": "/cb/"}, "callbackURL: must be a canonical path"},
		{"callback with semicolon", o{"callbackURL": "/cb;a"}, "callbackURL: must be a plain path"},
		{"callback without a slash", o{"callbackURL": "oauth2/callback"}, "callbackURL: must begin with /: /oauth2/callback"},
		{"callback of one word", o{"callbackURL": "cb"}, "callbackURL: must begin with /: /cb"},
		{"callback of a host", o{"callbackURL": "app.example.com/cb"}, "callbackURL: must be an absolute URL such as https://app.example.com/oauth2/callback, or a path"},
		{"callback of a host and a port", o{"callbackURL": "localhost:8443/cb"}, "callbackURL: must be an absolute URL such as https://app.example.com/oauth2/callback, or a path"},
		{"callback without a slash, with a query", o{"callbackURL": "cb?x=1"}, "callbackURL: must be an absolute URL such as https://app.example.com/oauth2/callback, or a path"},
		{"after logout, without a slash", o{"postLogoutRedirectURI": "bye"}, "postLogoutRedirectURI: must begin with /: /bye"},
		{"logout is the callback", o{"logoutURL": "/oauth2/callback"}, "logoutURL: is the same path as callbackURL"},
		{"logout chosen", o{"logoutURL": "/bye"}, ""},
		{"after logout, a path with query", o{"postLogoutRedirectURI": "/bye?x=1"}, ""},
		{"after logout, a URL", o{"postLogoutRedirectURI": "https://www.example.com/"}, ""},
		{"after logout, empty", o{"postLogoutRedirectURI": ""}, ""},
		{"after logout, another site in disguise", o{"postLogoutRedirectURI": "//evil.example"}, "postLogoutRedirectURI: must be a path"},
		{"after logout, a backslash", o{"postLogoutRedirectURI": `/\evil.example`}, "postLogoutRedirectURI: must be a path"},
		{"after logout, http", o{"postLogoutRedirectURI": "http://www.example.com/"}, "postLogoutRedirectURI: must be https"},
		{"after logout, javascript", o{"postLogoutRedirectURI": "javascript:alert(1)"}, "postLogoutRedirectURI: must be an absolute URL"},
		{"revocation of http", o{"revocationURL": "http://id.example.com/r"}, "revocationURL: must be https"},
		{"end of session without host", o{"oidcEndSessionURL": "https:///x"}, "oidcEndSessionURL: must be an absolute URL"},
		{"line break", o{"providerURL": "https://id.example.com\nx"}, "providerURL: has a line break"},
	}, Environment{})
}

func TestAccess(t *testing.T) {
	env := environment(map[string]string{"EMPTY": "", "USERS": "a@example.com, b@example.com", "SPACE": " , "}, nil)
	runProblems(t, []problemRow{
		{"H21 allowedUsers empty", o{"allowedUsers": []string{}}, "allowedUsers: is empty"},
		{"H21 allowedUsers of an empty variable", o{"allowedUsers": "${EMPTY}"}, "allowedUsers: is empty"},
		{"H21 allowedUsers of an unset variable", o{"allowedUsers": "${NO_SUCH}"}, "allowedUsers: the environment variable NO_SUCH is not set"},
		{"H21 allowedUserDomains of commas", o{"allowedUserDomains": "${SPACE}"}, "allowedUserDomains: is empty"},
		{"H21 allowedRolesAndGroups of an empty text", o{"allowedRolesAndGroups": ""}, "allowedRolesAndGroups: is empty"},
		{"allowedUsers of a variable", o{"allowedUsers": "${USERS}"}, ""},
		{"domain with at", o{"allowedUserDomains": "a@example.com"}, "allowedUserDomains: element 1 is not a domain"},
		{"domain with wildcard", o{"allowedUserDomains": "example.com,*.example.org"}, "allowedUserDomains: element 2 is not a domain"},
		{"excluded everything", o{"excludedURLs": "/"}, "excludedURLs: / would leave nothing protected"},
		{"excluded wildcard", o{"excludedURLs": "/public/*"}, "excludedURLs: /public/* is not a path prefix such as /health"},
		{"excluded expression", o{"excludedURLs": "^/static/"}, "excludedURLs: ^/static/ is not a path prefix"},
		{"excluded expression with an end", o{"excludedURLs": "/health$"}, "excludedURLs: /health$ is not a path prefix"},
		{"excluded method", o{"excludedURLs": "GET=/health"}, "excludedURLs: GET=/health is not a path prefix"},
		{"every domain", o{"allowedUserDomains": "*"}, "allowedUserDomains: * is not a name: wildcards are not known here; leave the option out"},
		{"every user", o{"allowedUsers": "*"}, "allowedUsers: * is not a name"},
		{"every group", o{"allowedRolesAndGroups": "*"}, "allowedRolesAndGroups: * is not a name"},
		{"domain with its subdomains", o{"allowedUserDomains": ".example.com"}, "allowedUserDomains: element 1 is not a domain name"},
		{"domain with a dot at its end", o{"allowedUserDomains": "example.com."}, "allowedUserDomains: element 1 is not a domain name"},
		{"excluded traversal", o{"excludedURLs": "/public/../admin"}, "excludedURLs: /public/../admin must be a canonical path"},
		{"excluded relative", o{"excludedURLs": "public"}, "excludedURLs: public must begin with /"},
		{"excluded with slash", o{"excludedURLs": "/public/"}, ""},
		{"emailVerified", o{"emailVerified": "denyed"}, "emailVerified: is none of ignore, deny, require; did you mean deny?"},
		{"rateLimit", o{"rateLimit": 9}, "rateLimit: must be a number from 10"},
		{"kept header", o{"keepRequestHeaders": "Remote-User,OIDC_CLAIM_sub"}, ""},
		{"L19 kept header that is ours", o{"keepRequestHeaders": "x_forwarded_user"}, "keepRequestHeaders: x_forwarded_user cannot be kept: this middleware sets it"},
		{"kept header that always passes", o{"keepRequestHeaders": "X-Other"}, "keepRequestHeaders: X-Other is not removed"},
		{"proxies", o{"trustedProxies": "10.0.0.0/8,::1"}, ""},
		{"proxy without bits", o{"trustedProxies": "10.0.0.0/33"}, "trustedProxies: 10.0.0.0/33 is not a network"},
		{"proxy by name", o{"trustedProxies": "proxy"}, "trustedProxies: proxy is not a network"},
	}, env)

	c := minimal()
	c.AllowedUsers = []string{"${USERS}"}
	c.AllowedRolesAndGroups = []string{"CN=Admins,OU=x", ""}
	c.AllowedUserDomains = []string{"@Example.COM"}
	c.ExcludedURLs = []string{"/public/"}
	s, err := Parse(c, env)
	if err != nil {
		t.Fatal(err)
	}
	want := Access{
		Users: []string{"a@example.com", "b@example.com"}, Domains: []string{"example.com"},
		RolesAndGroups: []string{"CN=Admins,OU=x"}, UserClaim: "email", DomainClaim: "email", GroupClaim: "groups", RoleClaim: "roles",
		EmailVerified: "deny", Excluded: []string{"/public"}, Unauthenticated: "auto",
	}
	if !reflect.DeepEqual(s.Access, want) {
		t.Errorf("got %+v", s.Access)
	}
}

func TestClient(t *testing.T) {
	_, assertionKey := certificate(t)
	env := environment(map[string]string{"EMPTY": ""}, map[string]string{"/secret": "from-file\r\n", "/empty": "\n"})
	runProblems(t, []problemRow{
		{"public", o{"clientSecret": nil}, ""},
		{"public without PKCE", o{"clientSecret": nil, "enablePKCE": false}, "enablePKCE: a client without clientSecret needs it"},
		{"confidential without PKCE", o{"enablePKCE": false}, ""},
		{"secret of an empty variable", o{"clientSecret": "${EMPTY}"}, "clientSecret: is empty; leave it out"},
		{"secret of an empty file", o{"clientSecret": "file:/empty"}, "clientSecret: is empty; leave it out"},
		{"secret of no file", o{"clientSecret": "file:/none"}, "clientSecret: the file /none does not exist"},
		{"secret that nobody resolved", o{"clientSecret": "urn:k8s:secret:a:b"}, "clientSecret: is a reference to a Kubernetes secret"},
		{"secret of two lines", o{"clientSecret": "a\nb"}, "clientSecret: has a line break"},
		{"method unknown", o{"clientAuthMethod": "client_secret_past"}, "did you mean client_secret_post?"},
		{"method none with secret", o{"clientAuthMethod": "none"}, "clientAuthMethod: none leaves clientSecret without a use"},
		{"method post without secret", o{"clientAuthMethod": "client_secret_post", "clientSecret": nil}, "clientAuthMethod: client_secret_post needs clientSecret"},
		{"HS256 without secret", o{"idTokenSigningAlgs": "HS256", "clientSecret": nil}, "idTokenSigningAlgs: HS256 needs clientSecret"},
		{"algorithm none", o{"idTokenSigningAlgs": "RS256,none"}, "idTokenSigningAlgs: is none of RS256"},
		{"scopes", o{"scopes": "groups offline_access,a:b"}, ""},
		{"scope with quote", o{"scopes": `a"b`}, "scopes: has an element with a character"},
		{"parameter of ours", o{"authorizationParams": o{"state": "x"}}, "authorizationParams.state: is set by the middleware"},
		{"parameter that only a request object has", o{"authorizationParams": o{"Registration": "x"}}, "authorizationParams.Registration: is set by the middleware"},
		{"HS512 without secret", o{"idTokenSigningAlgs": "ES256,HS512", "clientSecret": nil}, "idTokenSigningAlgs: HS512 needs clientSecret"},
		{"a private key that is none", o{"clientAuthMethod": "private_key_jwt", "clientAssertionPrivateKey": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, "clientAssertionPrivateKey: is no private key in PEM"},
		{"a private key of another algorithm", o{"clientAuthMethod": "private_key_jwt", "clientAssertionPrivateKey": assertionKey, "clientAssertionAlg": "RS256"}, "clientAssertionPrivateKey: is a key that does not fit clientAssertionAlg"},
		{"HS512 in an assertion", o{"clientAssertionAlg": "HS512"}, "clientAssertionAlg: is none of RS256"},
		{"parameter of two values", o{"authorizationParams": o{"prompt": []any{"a"}}}, "authorizationParams.prompt: must be a text"},
		{"max_age", o{"authorizationParams": o{"max_age": 0}}, "authorizationParams.max_age: must be a number of seconds"},
		{"logLevel", o{"logLevel": "warning"}, "logLevel: is none of debug, info, warn, error; did you mean warn?"},
	}, env)

	c := minimal()
	c.ClientSecret = "file:/secret"
	c.OverrideScopes = true
	c.Scopes = []string{"groups", "groups"}
	c.AuthorizationParams = map[string]any{"max_age": 300.0, "prompt": "consent", "login_hint": "${EMPTY}", "x": true}
	s, err := Parse(c, env)
	if err != nil {
		t.Fatal(err)
	}
	if s.Client.Secret != "from-file" || strings.Join(s.SignIn.Scopes, " ") != "openid groups" || s.SignIn.MaxAge.Seconds() != 300 {
		t.Errorf("scopes %v, max age %v", s.SignIn.Scopes, s.SignIn.MaxAge)
	}
	if want := (map[string]string{"max_age": "300", "prompt": "consent", "x": "true"}); !reflect.DeepEqual(s.SignIn.Params, want) {
		t.Errorf("params %v", s.SignIn.Params)
	}
}

func TestCookies(t *testing.T) {
	runProblems(t, []problemRow{
		{"F8 host prefix with domain", o{"cookiePrefix": "__Host-x", "cookieDomain": "example.com"}, "cookiePrefix: browsers refuse a __Host- cookie with a domain"},
		{"host prefix, plain site", o{"cookiePrefix": "__Host-x", "forceHTTPS": false}, "cookiePrefix: browsers keep __Host-"},
		{"host prefix in lower case", o{"cookiePrefix": "__host-x"}, "cookiePrefix: must spell the prefix"},
		{"F8 a cookie for all sites over http", o{"cookieSameSite": "none", "forceHTTPS": false}, "cookieSameSite: browsers keep such a cookie over https only"},
		{"F8 a partitioned cookie over http", o{"cookieSameSite": "Partitioned", "forceHTTPS": false}, "cookieSameSite: browsers keep such a cookie over https only"},
		{"a strict cookie over http", o{"cookieSameSite": "strict", "forceHTTPS": false}, ""},
		{"a cookie of no kind", o{"cookieSameSite": "stric"}, "cookieSameSite: is none of lax, strict, none, partitioned; did you mean strict?"},
		{"prefix alone", o{"cookiePrefix": "__Secure-"}, "cookiePrefix: needs a name"},
		{"name of the existing plugin", o{"cookiePrefix": "_oidc_raczylo_"}, ""},
		{"L34 name of one letter", o{"cookiePrefix": "a"}, "cookiePrefix: must have at least 3 characters"},
		{"L34 name of two letters", o{"cookiePrefix": "id"}, "cookiePrefix: must have at least 3 characters"},
		{"L34 name of three letters", o{"cookiePrefix": "sso"}, ""},
		{"name with a semicolon", o{"cookiePrefix": "a;b"}, "cookiePrefix: has a character"},
		{"domain with port", o{"cookieDomain": "example.com:443"}, "cookieDomain: must be a domain name"},
		{"domain of one label", o{"cookieDomain": "com"}, "cookieDomain: must have a dot"},
		{"domain that is an address", o{"cookieDomain": "10.0.0.1"}, "cookieDomain: must be a domain name"},
		{"domain of others", o{"cookieDomain": "example.org", "callbackURL": "https://app.example.com/cb"}, "cookieDomain: does not hold the host"},
		{"domain of ours", o{"cookieDomain": ".example.com", "callbackURL": "https://app.example.com/cb"}, ""},
		{"session group", o{"sessionGroup": strings.Repeat("x", 201)}, "sessionGroup: is longer"},
		{"sessionMaxAge zero", o{"sessionMaxAge": 0}, "sessionMaxAge: must be a duration from 1s"},
		{"sessionMaxAge negative", o{"sessionMaxAge": -1}, "sessionMaxAge: must be a duration up to"},
		{"sessionMaxAge empty", o{"sessionMaxAge": ""}, "sessionMaxAge: must be a duration from 1s"},
		{"sessionMaxAge in days", o{"sessionMaxAge": "7d"}, "sessionMaxAge: must be a duration up to 9600h0m0s: a number of seconds, or a number with one of the units ms, s, m and h"},
		{"sessionMaxAge too long", o{"sessionMaxAge": "9601h"}, "sessionMaxAge: must be a duration up to 9600h0m0s"},
		{"sessionMaxAge of a list", o{"sessionMaxAge": []any{"24h"}}, "sessionMaxAge: must be a number of seconds, or a duration such as 24h"},
		{"sessionMaxAge of a boolean", o{"sessionMaxAge": true}, "sessionMaxAge: must be a number of seconds, or a duration such as 24h"},
		{"refreshGracePeriodSeconds", o{"refreshGracePeriodSeconds": -1}, "refreshGracePeriodSeconds: must be a number from 0"},
		{"idleTimeout", o{"idleTimeout": "soon"}, "idleTimeout: must be a duration"},
		{"idleTimeout negative", o{"idleTimeout": "-5s"}, "idleTimeout: must be a duration"},
		{"idleTimeout infinite", o{"idleTimeout": "inf"}, "idleTimeout: must be a duration"},
	}, Environment{})
	for _, row := range []struct {
		set  o
		want string
	}{
		{o{}, "__Host-oidc"},
		{o{"cookieDomain": "example.com"}, "__Secure-oidc"},
		{o{"forceHTTPS": false}, "oidc"},
		{o{"forceHTTPS": false, "cookieDomain": "example.com"}, "oidc"},
		{o{"cookiePrefix": "app"}, "app"},
	} {
		c := minimal()
		for name, value := range row.set {
			set(t, c, name, value)
		}
		if s, err := Parse(c, Environment{}); err != nil || s.Session.CookieName != row.want {
			t.Errorf("%v: want %s", row.set, row.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	one := func(name, value string) o { return o{"headers": []HeaderOptions{{Name: name, Value: value}}} }
	runProblems(t, []problemRow{
		{"template", one("X-Email", "${claims.email}"), ""},
		{"authorization", one("Authorization", "Bearer {{.AccessToken}}"), ""},
		{"template that does not end", one("X-A", "{{.Claims.a"), "headers[0]: header"},
		{"template of a variable", one("X-A", "${BROKEN}"), "headers[0]: the header X-A cannot be set, or its value is not a template"},
		{"no name", one("", "x"), "headers[0].name: is required"},
		{"no value", one("X-A", ""), "headers[0].value: is required"},
		{"bad name", one("X A", "x"), `headers[0]: header "X A" is not a header`},
		{"G5 connection", one("Connection", "x"), `headers[0]: header "Connection" cannot be set`},
		{"G3 underscore", one("content_length", "x"), `headers[0]: header "content_length" cannot be set`},
		{"G7 line break", one("X-A", "a\r\nX-Admin: 1"), "headers[0].value: has a line break"},
		{"twice", o{"headers": []HeaderOptions{{Name: "X-A", Value: "1"}, {Name: "x_a", Value: "2"}}}, "headers[1].name: is in the list twice"},
		{"frameOptions in another case", o{"securityHeaders.frameOptions": "sameorigin"}, ""},
		{"frameOptions unknown", o{"securityHeaders.frameOptions": "ALLOW"}, "securityHeaders.frameOptions: is none of DENY, SAMEORIGIN"},
		{"profile", o{"securityHeaders.profile": "stric"}, "securityHeaders.profile: is none of default, strict, development, api, custom; did you mean strict?"},
		{"custom header", o{"securityHeaders.customHeaders": o{"X A": "1"}}, "securityHeaders.customHeaders.X A: is no name of a header"},
		{"custom header of two lines", o{"securityHeaders.customHeaders": o{"X-A": "1\n2"}}, "securityHeaders.customHeaders.X-A: has a line break"},
		{"preload", o{"securityHeaders.strictTransportSecurityPreload": true}, "securityHeaders.strictTransportSecurityPreload: needs"},
		{"origins", o{"securityHeaders.corsEnabled": true, "securityHeaders.corsAllowedOrigins": "https://*.example.com,http://localhost:*,https://a.example.com:8443"}, ""},
		{"origins left out", o{"securityHeaders.corsEnabled": true}, "securityHeaders.corsAllowedOrigins: is required"},
		{"origin with path", o{"securityHeaders.corsAllowedOrigins": "https://a.example.com/x"}, "securityHeaders.corsAllowedOrigins: https://a.example.com/x is not an origin"},
		{"origin with star inside", o{"securityHeaders.corsAllowedOrigins": "https://a*.example.com"}, "securityHeaders.corsAllowedOrigins: https://a*.example.com is not an origin"},
		{"every origin with credentials", o{"securityHeaders.corsAllowedOrigins": "*", "securityHeaders.corsAllowCredentials": true}, "securityHeaders.corsAllowedOrigins: * would let every site"},
		{"every header with credentials", o{"securityHeaders.corsAllowedHeaders": "*", "securityHeaders.corsAllowCredentials": true}, "securityHeaders.corsAllowedHeaders: * is too much where credentials are allowed"},
		{"every method with credentials", o{"securityHeaders.corsAllowedMethods": "*", "securityHeaders.corsAllowCredentials": true}, "securityHeaders.corsAllowedMethods: * is too much where credentials are allowed"},
		{"origin with other letters", o{"securityHeaders.corsAllowedOrigins": "https://\u00fc.example.com"}, "securityHeaders.corsAllowedOrigins: https://\u00fc.example.com is not an origin"},
		{"a header's value with other letters", o{"securityHeaders.enabled": true, "securityHeaders.permissionsPolicy": "\u00fc"}, "securityHeaders: the value of Permissions-Policy has characters other than printable ASCII"},
		{"method", o{"securityHeaders.corsAllowedMethods": "GET,A B"}, "securityHeaders.corsAllowedMethods: A B has a character"},
		{"template file", o{"errorTemplate": "/no"}, "errorTemplate: the file /no does not exist"},
		{"custom header that frames", o{"securityHeaders.customHeaders": o{"Content-Length": 1}}, "securityHeaders.customHeaders.Content-Length: cannot be set here"},
	}, environment(map[string]string{"BROKEN": "{{secret"}, nil))
}

func TestAllProblemsAtOnce(t *testing.T) {
	c := minimal()
	c.ProviderURL = "x"
	c.RateLimit = 1
	c.LogLevel = "loud"
	c.Redis.PoolSize = "many"
	c.Extra = map[string]any{"nosuch": 1}
	_, err := Parse(c, Environment{})
	if err == nil {
		t.Fatal("no problem")
	}
	for _, want := range []string{"5 problems", "providerURL", "rateLimit", "logLevel", "redis.poolSize", "nosuch"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	c := minimal()
	c.InsecureSkipVerify = true
	c.DisableReplayDetection = true
	c.ProviderURL = "http://keycloak:8080"
	c.AllowPrivateIPAddresses = true
	c.TrustedProxies = []string{"0.0.0.0/0"}
	s, err := Parse(c, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(s.Warnings, "\n")
	for _, name := range []string{"insecureSkipVerify", "disableReplayDetection", "providerURL", "trustedProxies"} {
		if !strings.Contains(all, name+": ") {
			t.Errorf("%s is not warned of", name)
		}
	}
	if len(s.Warnings) != 4 {
		t.Errorf("warnings: %s", all)
	}
}

func TestUsersThatMatchNobodyAreWarnedOf(t *testing.T) {
	for _, row := range []struct {
		name, claim, user string
		warned            bool
	}{
		{"a name instead of an address", "", "Ann Adler", true},
		{"an address", "", "ann@example.com", false},
		{"a name of another claim", "preferred_username", "ann", false},
	} {
		c := minimal()
		c.UserIdentifierClaim, c.AllowedUsers = row.claim, []string{"bob@example.com", row.user}
		s, err := Parse(c, Environment{})
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(s.Warnings, "\n"); strings.HasPrefix(all, "allowedUsers: element 2 is not an e-mail address") != row.warned || !row.warned && all != "" {
			t.Errorf("%s: warnings %q", row.name, all)
		}
	}
}

func TestSecretsWithQuotesOrBlanksAroundThem(t *testing.T) {
	for _, row := range []struct {
		name, secret, want string // want is in the one warning; "": none
	}{
		{"plain", "Kx7-random", ""},
		{"quotes within it", `Kx7"rand'om`, ""},
		{"a quote at its end alone", `Kx7random"`, ""},
		{"double quotes", `"Kx7-random"`, "quotes"},
		{"single quotes", `'Kx7-random'`, "quotes"},
		{"a blank before it", " Kx7-random", "blank"},
		{"a tab behind it", "Kx7-random\t", "blank"},
		{"a line feed behind it is that of a file", "Kx7-random\n", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := minimal()
			c.ClientSecret = row.secret
			s, err := Parse(c, Environment{})
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(s.Warnings, "\n")
			if row.want == "" && all != "" || row.want != "" && (len(s.Warnings) != 1 || !strings.HasPrefix(all, "clientSecret: ") || !strings.Contains(all, row.want)) {
				t.Errorf("warnings: %q", all)
			}
			if strings.Contains(all, "Kx7") {
				t.Error("the warning has the secret")
			}
		})
	}
}

func TestCookieNamesThatBrowsersDoNotGuard(t *testing.T) {
	for _, row := range []struct {
		name, prefix, domain string
		plain                bool
		want                 string // in the one warning; "": none
	}{
		{"the default", "", "", false, ""},
		{"the default of a domain", "", "example.com", false, ""},
		{"__Host-", "__Host-app", "", false, ""},
		{"__Secure- of a domain", "__Secure-app", "example.com", false, ""},
		{"plain http", "app", "", true, ""},
		{"L17 F8 no prefix", "app", "", false, "begin it with __Host-"},
		{"L17 F8 the existing plugin's", "_oidc_raczylo_", "", false, "begin it with __Host-"},
		{"L17 F8 no prefix, of a domain", "app", "example.com", false, "begin it with __Secure-"},
		{"L17 F8 __Secure- of one host", "__Secure-app", "", false, "begin it with __Host-"},
		{"L17 F8 a prefix in the middle", "app__Host-", "", false, "begin it with __Host-"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := minimal()
			c.CookiePrefix, c.CookieDomain, c.ForceHTTPS = row.prefix, row.domain, !row.plain
			s, err := Parse(c, Environment{})
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(s.Warnings, "\n")
			if row.want == "" && all != "" || row.want != "" && (len(s.Warnings) != 1 || !strings.HasPrefix(all, "cookiePrefix: ") || !strings.HasSuffix(all, row.want)) {
				t.Errorf("warnings: %q", all)
			}
		})
	}
}

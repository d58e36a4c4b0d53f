package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/spelling"
)

func TestForeignNames(t *testing.T) {
	for name, want := range map[string]string{
		"resource":                   "resource: is not supported in this version",
		"introspectionURL":           "introspectionURL: is not supported in this version",
		"maxRefreshTokenAgeSeconds":  "leave it out: a refresh token is used until the provider refuses it, and sessionMaxAge ends the session",
		"allowedClaims":              "write the values in allowedRolesAndGroups",
		"trustForwardedURI":          "a return target is the request's own; leave it out",
		"clientSecretFile":           "write clientSecret: file:/path",
		"cookie_secret":              "did you mean sessionEncryptionKey?",
		"cookie-secret":              "did you mean sessionEncryptionKey?",
		"email_domains":              "did you mean allowedUserDomains?",
		"oidc_issuer_url":            "did you mean providerURL?",
		"issuer":                     "did you mean providerURL?",
		"redirectURL":                "did you mean callbackURL?",
		"redirect_uri":               "did you mean callbackURL?",
		"OIDCProviderMetadataURL":    "providerURL: the address without /.well-known/openid-configuration",
		"OIDCCryptoPassphrase":       "did you mean sessionEncryptionKey?",
		"OIDCClientID":               "did you mean clientID?",
		"client_id":                  "did you mean clientID?",
		"skip_auth_routes":           "did you mean excludedURLs?",
		"allowed_groups":             "did you mean allowedRolesAndGroups?",
		"pass_access_token":          "write it in headers",
		"cookie_expire":              "did you mean sessionMaxAge?",
		"redis_connection_url":       "did you mean redis.address?",
		"provider":                   "write providerURL, clientID and clientSecret at this level",
		"insecure-oidc-skip-nonce":   "did you mean allowMissingNonce?",
		"calbackURL":                 "did you mean callbackURL?",
		"cookie_csrf_per_request":    "there is nothing to set; leave it out",
		"OIDCStateTimeout":           "there is nothing to set; leave it out",
		"OIDCResponseType":           "the response type is always code",
		"OIDCClaimPrefix":            "write each claim in headers",
		"auth-host":                  "write callbackURL as a URL on that host",
		"rule":                       "excludedURLs, or accessRules",
		"plugin":                     "write the options directly below the name of the plugin",
		"somethingThatNobodyHasEver": "there is no such option",
	} {
		c := minimal()
		c.Extra = map[string]any{name: "x"}
		wantProblem(t, c, Environment{}, name+": ")
		wantProblem(t, c, Environment{}, want)
	}
	for name, want := range map[string]string{
		"url": "redis.url: there is no such option; did you mean redis.address?", "host": "redis.address?", "database": "redis.db?",
		"ssl": "redis.tls.enabled?", "passwordFile": "write redis.password: file:/path", "adress": "did you mean redis.address?",
	} {
		c := minimal()
		c.Redis.Extra = map[string]any{name: "x"}
		wantProblem(t, c, Environment{}, want)
	}
}

// Every hint names options that exist, none of the names is one, and each is in the
// table once.
func TestForeignNamesLeadToOptions(t *testing.T) {
	known := map[string]bool{}
	for _, name := range optionNames(Config{}) {
		known[name] = true
	}
	for _, o := range options(New()) {
		known[o.name] = true
	}
	for _, name := range optionNames(AccessRuleOptions{}) {
		known["accessRules[0]."+name] = true
	}
	optionLike := regexp.MustCompile(`\b[a-z]+[A-Z][A-Za-z]*\b`)
	notOptions := map[string]bool{"accessToken": true}
	for prefix, table := range map[string][]foreignName{"": foreignNames, "redis.": foreignRedisNames, "accessRules[0].": foreignRuleNames} {
		seen := map[string]bool{}
		for _, f := range table {
			if !strings.Contains(f.hint, " ") && !known[f.hint] {
				t.Errorf("the hint %q is no option", f.hint)
			}
			for _, name := range optionLike.FindAllString(f.hint, -1) {
				if !known[name] && !known["redis."+name] && !notOptions[name] {
					t.Errorf("the hint %q names %s, which is no option", f.hint, name)
				}
			}
			for _, name := range strings.Fields(f.names) {
				if seen[spelling.Plain(name)] {
					t.Errorf("%s is in the table twice", name)
				}
				seen[spelling.Plain(name)] = true
				for option := range known {
					if spelling.Plain(prefix+name) == spelling.Plain(option) {
						t.Errorf("%s is an option: take it out of the table", name)
					}
				}
			}
		}
	}
}

package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Every option changes the result of Parse, or is refused by its own name as not there
// yet.
func TestEveryOptionCounts(t *testing.T) {
	cert, key := certificate(t)
	env := environment(map[string]string{}, map[string]string{"/cert.pem": cert, "/key.pem": key, "/page.html": "<p>sorry</p>", "/texts.json": `{"language": "it", "label.back": "Indietro"}`})
	// The second value is that of another option that the first requires.
	values := map[string][]any{
		"providerURL":                                   {"https://other.example.com"},
		"clientID":                                      {"other"},
		"clientSecret":                                  {"other"},
		"clientAuthMethod":                              {"client_secret_post"},
		"clientAssertionPrivateKey":                     {key},
		"clientAssertionPrivateKeyPath":                 {"/key.pem"},
		"clientAssertionKeyID":                          {"1"},
		"clientAssertionAlg":                            {"ES256"},
		"discoveryURL":                                  {"https://inner.example.com/metadata"},
		"authorizationURL":                              {"https://id.example.com/auth"},
		"tokenURL":                                      {"https://id.example.com/token"},
		"userinfoURL":                                   {"https://id.example.com/userinfo"},
		"jwksURL":                                       {"https://id.example.com/keys"},
		"proxyFromEnvironment":                          {true},
		"allowMissingNonce":                             {true},
		"extraAuthParams":                               {o{"prompt": "login"}},
		"backchannelMaxAge":                             {"2m"},
		"revocationURL":                                 {"https://id.example.com/revoke"},
		"oidcEndSessionURL":                             {"https://id.example.com/end"},
		"idTokenSigningAlgs":                            {"ES256"},
		"trustedAudiences":                              {"another"},
		"allowedTenants":                                {"9188040d-6c67-4c5b-b112-36a304b66dad"},
		"userinfo":                                      {"always"},
		"allowPrivateIPAddresses":                       {true},
		"caCertPath":                                    {"/cert.pem"},
		"caCertPEM":                                     {"file:/cert.pem"},
		"insecureSkipVerify":                            {true},
		"callbackURL":                                   {"/cb"},
		"logoutURL":                                     {"/bye"},
		"postLogoutRedirectURI":                         {"/bye-bye"},
		"scopes":                                        {"groups"},
		"overrideScopes":                                {true},
		"enablePKCE":                                    {false},
		"authorizationParams":                           {o{"prompt": "login"}},
		"enableBackchannelLogout":                       {true, "backchannelLogoutURL", "/back"},
		"backchannelLogoutURL":                          {"/back", "enableBackchannelLogout", true},
		"enableFrontchannelLogout":                      {true, "frontchannelLogoutURL", "/front"},
		"frontchannelLogoutURL":                         {"/front", "enableFrontchannelLogout", true},
		"disableReplayDetection":                        {true},
		"replayProtection":                              {"deny"},
		"refreshGracePeriodSeconds":                     {5},
		"sessionEncryptionKey":                          {otherKey},
		"sessionMaxAge":                                 {60},
		"idleTimeout":                                   {"5m"},
		"sessionGroup":                                  {"intranet"},
		"sessionStore":                                  {"cookie"},
		"cookiePrefix":                                  {"app"},
		"cookieDomain":                                  {"example.com"},
		"cookieSameSite":                                {"strict"},
		"stripAuthCookies":                              {false},
		"forceHTTPS":                                    {false},
		"allowedUsers":                                  {"a@example.com"},
		"allowedUserDomains":                            {"example.com"},
		"allowedRolesAndGroups":                         {"admins"},
		"userIdentifierClaim":                           {"sub"},
		"userDomainClaim":                               {"upn", "allowedUserDomains", "example.com"},
		"groupClaimName":                                {"realm_access.groups"},
		"roleClaimName":                                 {"realm_access.roles"},
		"emailVerified":                                 {"require"},
		"excludedURLs":                                  {"/health"},
		"accessRules":                                   {[]AccessRuleOptions{{Paths: []string{"/admin"}, Require: "Group(`admins`)"}}},
		"unauthenticated":                               {"pass"},
		"audience":                                      {"api"},
		"strictAudienceValidation":                      {true},
		"allowOpaqueTokens":                             {true},
		"requireTokenIntrospection":                     {true},
		"enableBearerAuth":                              {true, "audience", "api"},
		"bearerIdentifierClaim":                         {"email"},
		"stripAuthorizationHeader":                      {false},
		"bearerEmitWWWAuthenticate":                     {false},
		"bearerOverridesCookie":                         {true},
		"maxTokenAgeSeconds":                            {5},
		"maxIdentifierLength":                           {5},
		"bearerFailureThreshold":                        {5},
		"bearerFailureWindowSeconds":                    {5},
		"bearerFailurePenaltySeconds":                   {5},
		"headers":                                       {[]HeaderOptions{{Name: "X-A", Value: "{{.Claims.a}}"}}},
		"minimalHeaders":                                {true},
		"keepRequestHeaders":                            {"Remote-User"},
		"errorTemplate":                                 {"/page.html"},
		"pageLanguage":                                  {"fr"},
		"pageTexts":                                     {"/texts.json"},
		"logLevel":                                      {"debug"},
		"logFormat":                                     {"json"},
		"logFile":                                       {"/var/log/oidc.log"},
		"rateLimit":                                     {10},
		"trustedProxies":                                {"10.0.0.0/8"},
		"securityHeaders.enabled":                       {false},
		"securityHeaders.profile":                       {"strict"},
		"securityHeaders.frameOptions":                  {"DENY"},
		"securityHeaders.xssProtection":                 {"0"},
		"securityHeaders.referrerPolicy":                {"origin"},
		"securityHeaders.corsEnabled":                   {true, "securityHeaders.corsAllowedOrigins", "https://a.example.com"},
		"securityHeaders.corsMaxAge":                    {5},
		"securityHeaders.customHeaders":                 {o{"X-A": "1"}},
		"redis.enabled":                                 {"true", "redis.address", "redis:6379"},
		"redis.minIdleConns":                            {"6"},
		"redis.cacheMode":                               {"redis"},
		"redis.keyPrefix":                               {"app"},
		"redis.address":                                 {"other:1"},
		"redis.username":                                {"u", "redis.password", "p"},
		"redis.password":                                {"p"},
		"redis.sentinelMasterName":                      {"main"},
		"redis.sentinelUsername":                        {"u", "redis.sentinelMasterName", "main", "redis.sentinelPassword", "p"},
		"redis.sentinelPassword":                        {"p", "redis.sentinelMasterName", "main"},
		"redis.tls.certFile":                            {"/cert.pem", "redis.tls.keyFile", "/key.pem"},
		"redis.tls.keyFile":                             {"/key.pem", "redis.tls.certFile", "/cert.pem"},
		"redis.tls.caFile":                              {"/cert.pem"},
		"redis.tls.serverName":                          {"redis.internal"},
		"redis.tls.minVersion":                          {"1.3"},
		"redis.enableTLS":                               {"true"},
		"redis.tlsSkipVerify":                           {"true"},
		"redis.tls.enabled":                             {"true"},
		"redis.tls.insecureSkipVerify":                  {"true"},
		"redis.clusterMode":                             {"true"},
		"redis.readOnly":                                {"true"},
		"redis.routeByLatency":                          {"true"},
		"redis.routeRandomly":                           {"true"},
		"redis.enableCircuitBreaker":                    {"false"},
		"redis.enableHealthCheck":                       {"false"},
		"redis.db":                                      {"1"},
		"securityHeaders.corsAllowedOrigins":            {"https://a.example.com"},
		"securityHeaders.corsAllowedMethods":            {"PUT"},
		"securityHeaders.corsAllowedHeaders":            {"X-A"},
		"securityHeaders.corsAllowCredentials":          {true},
		"securityHeaders.contentSecurityPolicy":         {"default-src 'self'"},
		"securityHeaders.contentTypeOptions":            {"nosniff"},
		"securityHeaders.permissionsPolicy":             {"camera=()"},
		"securityHeaders.crossOriginResourcePolicy":     {"same-origin"},
		"securityHeaders.crossOriginOpenerPolicy":       {"same-origin"},
		"securityHeaders.crossOriginEmbedderPolicy":     {"require-corp"},
		"securityHeaders.disableServerHeader":           {true},
		"securityHeaders.disablePoweredByHeader":        {true},
		"securityHeaders.strictTransportSecurity":       {true},
		"securityHeaders.strictTransportSecurityMaxAge": {5},
		"securityHeaders.strictTransportSecuritySubdomains": {true},
		"securityHeaders.strictTransportSecurityPreload":    {true, "securityHeaders.strictTransportSecuritySubdomains", true, "securityHeaders.strictTransportSecurity", true},
		"dynamicClientRegistration.enabled":                 {true},
		"dynamicClientRegistration.initialAccessToken":      {"t"},
		"dynamicClientRegistration.registrationEndpoint":    {"https://id.example.com/register"},
		"dynamicClientRegistration.persistCredentials":      {true},
		"dynamicClientRegistration.credentialsFile":         {"/var/lib/client.json"},
		"dynamicClientRegistration.storageBackend":          {"redis"},
		"dynamicClientRegistration.redisKeyPrefix":          {"dcr"},
		"dynamicClientRegistration.clientMetadata":          {o{"clientName": "x"}},
	}
	for _, o := range options(New()) {
		value := values[o.name]
		if o.name == "providers" || o.name == "defaultProvider" {
			continue // TestProviders
		}
		if value == nil && strings.HasPrefix(o.name, "redis.") {
			value = []any{"7"}
		}
		if value == nil {
			t.Errorf("%s has no value here", o.name)
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			before, after := base(), base()
			for i := 1; i < len(value); i += 2 {
				set(t, before, value[i].(string), value[i+1])
				set(t, after, value[i].(string), value[i+1])
			}
			set(t, after, o.name, value[0])
			r := &reader{env: env}
			old := r.settings(before)
			if reflect.DeepEqual(old, past(t, after, env)) && r.err() == nil {
				t.Error("the settings are the same")
			}
		})
	}
}

// base is minimal with a section redis that is read though it is not enabled.
func base() *Config {
	c := minimal()
	c.Redis.Address = "redis:6379"
	return c
}

// past parses c without the gates of this version, which have their own tests.
func past(t *testing.T, c *Config, env Environment) *Settings {
	t.Helper()
	r := &reader{env: env}
	s := r.settings(c)
	if err := r.err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// Every text may have variables in it, and an unset one is named with its option.
func TestEveryTextIsExpanded(t *testing.T) {
	for _, o := range options(New()) {
		var value any
		name := o.name
		switch o.value.Interface().(type) {
		case string:
			value = "${NO_SUCH_VARIABLE}"
		case []string:
			value = []string{"${NO_SUCH_VARIABLE}"}
		case []AccessRuleOptions:
			value = []AccessRuleOptions{{Paths: []string{"/a"}, Require: "Group(`${NO_SUCH_VARIABLE}`)"}}
			name = "accessRules[0].require"
		case []HeaderOptions:
			value = []HeaderOptions{{Name: "X-A", Value: "${NO_SUCH_VARIABLE}"}}
			name = "headers[0].value"
		case map[string]any:
			value = map[string]any{"contacts": "${NO_SUCH_VARIABLE}"}
			name = o.name + ".contacts"
		case nil:
			value = "${NO_SUCH_VARIABLE}"
		default:
			continue
		}
		c := minimal()
		set(t, c, o.name, value)
		wantProblem(t, c, Environment{}, name+": the environment variable NO_SUCH_VARIABLE is not set")
	}
}

func TestUnsupported(t *testing.T) {
	for _, g := range gates(base(), past(t, base(), Environment{})) {
		if g.set {
			t.Errorf("%s is refused by default", g.option)
		}
	}
	for _, row := range []struct {
		set  o
		want string
	}{
		{o{"enableBearerAuth": true}, "enableBearerAuth: is not supported in this version"},
		{o{"sessionStore": "Cookie"}, "sessionStore: cookie is not supported in this version"},
		{o{"clientAuthMethod": "tls_client_auth"}, "clientAuthMethod: tls_client_auth is not supported in this version"},
		{o{"redis.enabled": "1", "redis.address": "a:1,b:2"}, "redis.address: a list is not supported in this version"},
		{o{"dynamicClientRegistration.enabled": true}, "dynamicClientRegistration.enabled: is not supported in this version"},
	} {
		c := minimal()
		for name, value := range row.set {
			set(t, c, name, value)
		}
		wantProblem(t, c, Environment{}, row.want)
	}
	wantProblem(t, minimal(), environment(map[string]string{"REDIS_ENABLED": "true", "REDIS_ADDRESS": "r,q"}, nil), "redis.address: a list is not supported")
}

// Each gate opens only for its own option.
func TestGatesAreReachable(t *testing.T) {
	names := map[string]bool{}
	for _, o := range options(New()) {
		names[o.name] = true
	}
	for _, g := range gates(New(), &Settings{}) {
		if !names[g.option] {
			t.Errorf("%s is no option", g.option)
		}
	}
}

const canary = "canary-7f3a9c"

// J8, K8: no message about any problem shows a secret.
func TestSecretsStaySecret(t *testing.T) {
	keyLike := strings.Repeat(canary, 3)
	rows := []o{
		{"clientSecret": canary + "\nx"},
		{"clientSecret": canary, "clientAuthMethod": "none"},
		{"sessionEncryptionKey": canary},
		{"sessionEncryptionKey": keyLike},
		{"sessionEncryptionKey": []any{keyLike, keyLike, 1}},
		{"clientAssertionPrivateKey": canary},
		{"dynamicClientRegistration.initialAccessToken": canary + "\n\n", "rateLimit": 1},
		{"redis.password": canary, "redis.enabled": "true", "redis.address": "redis://:x@r"},
		{"redis.address": "redis://user:" + canary + "@redis:notaport/x"},
		{"redis.address": "redis://user:" + canary + "%zz@redis"},
		{"redis.address": "http://user:" + canary + "@redis"},
		{"redis.address": "user:" + canary + "@redis"},
		{"redis.sentinelPassword": canary, "rateLimit": 1},
		{"providerURL": "https://user:" + canary + "@id.example.com"},
		{"providerURL": "https://user:" + canary + "%zz@id.example.com"},
		{"callbackURL": "https://app.example.com/cb?token=" + canary},
		{"revocationURL": "https://user:" + canary + "@id.example.com"},
		{"headers": []HeaderOptions{{Name: "X-A", Value: canary + "\n"}, {Name: "X-A", Value: canary + "\nx"}}},
		{"authorizationParams": o{"state": canary, "prompt": []any{canary}, "max_age": canary}},
		{"securityHeaders.customHeaders": o{"X-A": canary + "\r\nx"}},
		{"caCertPEM": canary},
		{"logLevel": canary},
		{"rateLimit": 1, "insecureSkipVerify": true, "clientSecret": canary},
	}
	for _, row := range rows {
		c := minimal()
		for name, value := range row {
			set(t, c, name, value)
		}
		_, err := Parse(c, environment(nil, nil))
		if err == nil {
			t.Errorf("%v is valid", row)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	c := minimal()
	c.Extra = map[string]any{"clientSecrt": canary}
	if _, err := Parse(c, Environment{}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
	env := environment(map[string]string{"SECRET": canary}, map[string]string{"/key": keyLike})
	c = minimal()
	c.ClientSecret = "${SECRET}\n${SECRET}"
	c.SessionEncryptionKey = "file:/key"
	c.ClientAuthMethod = "${SECRET}"
	if _, err := Parse(c, env); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
}

func TestCertificates(t *testing.T) {
	cert, key := certificate(t)
	env := environment(nil, map[string]string{"/c": cert, "/k": key, "/both": cert + key, "/text": "hello"})
	runProblems(t, []problemRow{
		{"path", o{"caCertPath": "/c"}, ""},
		{"text", o{"caCertPEM": cert}, ""},
		{"file", o{"caCertPEM": "file:/c"}, ""},
		{"both", o{"caCertPEM": cert, "caCertPath": "/c"}, ""},
		{"key", o{"caCertPath": "/k"}, "caCertPath: holds PEM that is not a certificate"},
		{"key too", o{"caCertPEM": "file:/both"}, "caCertPEM: holds PEM that is not a certificate"},
		{"no PEM", o{"caCertPath": "/text"}, "caCertPath: holds no certificate"},
		{"broken", o{"caCertPEM": "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"}, "caCertPEM: holds a certificate that cannot be read"},
	}, env)
	other, _ := certificate(t)
	c := minimal()
	c.Redis.TLS = RedisTLSOptions{CertFile: "/c", KeyFile: "/k"}
	wantProblem(t, c, environment(nil, map[string]string{"/c": other, "/k": key}), "redis.tls.keyFile: is not the key of redis.tls.certFile")
}

func certificate(t *testing.T) (string, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

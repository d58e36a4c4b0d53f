package config

import (
	"sort"
	"strings"
)

// The names of the options of each level.
const (
	topNames = `providerURL clientID clientSecret clientAuthMethod clientAssertionPrivateKey
		clientAssertionPrivateKeyPath clientAssertionKeyID clientAssertionAlg discoveryURL authorizationURL tokenURL
		userinfoURL jwksURL revocationURL oidcEndSessionURL proxyFromEnvironment allowMissingNonce
		idTokenSigningAlgs trustedAudiences allowedTenants userinfo allowPrivateIPAddresses caCertPath caCertPEM insecureSkipVerify
		dynamicClientRegistration callbackURL logoutURL postLogoutRedirectURI scopes overrideScopes enablePKCE
		authorizationParams extraAuthParams enableBackchannelLogout backchannelLogoutURL backchannelMaxAge enableFrontchannelLogout
		frontchannelLogoutURL disableReplayDetection replayProtection refreshGracePeriodSeconds
		sessionEncryptionKey sessionMaxAge idleTimeout sessionGroup sessionStore cookiePrefix cookieDomain cookieSameSite
		stripAuthCookies forceHTTPS allowedUsers allowedUserDomains allowedRolesAndGroups userIdentifierClaim userDomainClaim
		groupClaimName roleClaimName emailVerified excludedURLs audience strictAudienceValidation
		allowOpaqueTokens requireTokenIntrospection enableBearerAuth bearerIdentifierClaim
		stripAuthorizationHeader bearerEmitWWWAuthenticate bearerOverridesCookie maxTokenAgeSeconds
		maxIdentifierLength bearerFailureThreshold bearerFailureWindowSeconds bearerFailurePenaltySeconds
		headers minimalHeaders keepRequestHeaders securityHeaders errorTemplate pageLanguage pageTexts logLevel logFormat logFile rateLimit
		trustedProxies redis`
	headerNames   = `name value`
	securityNames = `enabled profile contentSecurityPolicy strictTransportSecurity
		strictTransportSecurityMaxAge strictTransportSecuritySubdomains strictTransportSecurityPreload
		frameOptions contentTypeOptions xssProtection referrerPolicy permissionsPolicy
		crossOriginResourcePolicy crossOriginOpenerPolicy crossOriginEmbedderPolicy corsEnabled
		corsAllowedOrigins corsAllowedMethods corsAllowedHeaders corsAllowCredentials corsMaxAge customHeaders
		disableServerHeader disablePoweredByHeader`
	registrationNames = `enabled initialAccessToken registrationEndpoint persistCredentials
		credentialsFile storageBackend redisKeyPrefix clientMetadata`
	redisNames = `enabled address username password db keyPrefix cacheMode maxRetries poolSize
		minIdleConns maxConnAge poolTimeout idleTimeout dialTimeout connectTimeout readTimeout writeTimeout
		operationTimeout circuitBreakerThreshold circuitBreakerTimeout enableCircuitBreaker enableHealthCheck
		healthCheckInterval enableTLS tlsSkipVerify tls clusterMode maxRedirects readOnly routeByLatency
		routeRandomly sentinelMasterName sentinelUsername sentinelPassword hybridL1Size hybridL1MemoryMB l1TTL`
	redisTLSNames = `enabled certFile keyFile caFile insecureSkipVerify serverName minVersion`
)

// maxUnknown bounds how many unknown options of a level are named.
const maxUnknown = 20

// unknown refuses the options of a level that do not exist. The level's prefix
// is empty or ends in a dot.
func (r *reader) unknown(prefix string, extra map[string]any, names string) {
	if len(extra) == 0 {
		return
	}
	var found []string
	for name := range extra {
		found = append(found, name)
	}
	sort.Strings(found)
	if len(found) > maxUnknown {
		found = found[:maxUnknown]
	}
	for _, name := range found {
		r.problem(prefix+brief(name), unknownFault(prefix, name, names))
	}
}

// unknownFault says that there is no such option, and what to write instead.
func unknownFault(prefix, name, names string) string {
	text := "there is no such option"
	hint := foreign(prefix, name)
	if hint == notInThisVersion {
		return hint
	}
	if hint == "" {
		hint = suggest(prefix, name, names)
	}
	switch {
	case hint == "":
		return text
	case strings.Contains(hint, " "):
		return text + "; " + hint
	}
	return text + "; did you mean " + hint + "?"
}

// suggest returns the option that was probably meant: one of this level that is
// spelled alike, or one of another level that has the same name.
func suggest(prefix, name, names string) string {
	if near := nearest(name, strings.Fields(names)); near != "" {
		return prefix + near
	}
	levels := [][2]string{
		{"", topNames},
		{"redis.", redisNames},
		{"redis.tls.", redisTLSNames},
		{"securityHeaders.", securityNames},
		{"dynamicClientRegistration.", registrationNames},
	}
	for _, level := range levels {
		for _, other := range strings.Fields(level[1]) {
			if plain(other) == plain(name) {
				return level[0] + other
			}
		}
	}
	return ""
}

// nearest returns the candidate that takes the fewest changes to reach from s,
// or nothing where that would be more than a third of s. Where s only has more at
// its end, as warning has for warn, that is no change.
func nearest(s string, candidates []string) string {
	s = plain(s)
	if s == "" || len(s) > 64 {
		return ""
	}
	best := ""
	least := len(s)/3 + 1
	for _, candidate := range candidates {
		other := plain(candidate)
		if s == other {
			return candidate
		}
		if len(other) > 2 && strings.HasPrefix(s, other) {
			best = candidate
			continue
		}
		if gap := len(s) - len(other); gap >= least || -gap >= least {
			continue
		}
		if d := distance(s, other); d < least {
			best = candidate
			least = d
		}
	}
	return best
}

func plain(s string) string {
	s = strings.ToLower(s)
	return strings.ReplaceAll(strings.ReplaceAll(s, "_", ""), "-", "")
}

// distance is the number of bytes to insert, delete or replace to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := 0; j <= len(b); j++ {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			d := diagonal
			if a[i-1] != b[j-1] {
				d++
			}
			diagonal = row[j]
			if row[j]+1 < d {
				d = row[j] + 1
			}
			if row[j-1]+1 < d {
				d = row[j-1] + 1
			}
			row[j] = d
		}
	}
	return row[len(b)]
}

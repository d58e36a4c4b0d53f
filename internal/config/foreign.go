package config

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/spelling"
)

// A foreignName is a name of other versions and other software for an option.
type foreignName struct {
	// hint is one of the plugin's options, or a sentence with the remedy.
	hint string
	// names are compared without case, hyphens and underscores.
	names string
}

// foreignNames are the names of the existing plugin's newest version, oauth2-proxy,
// mod_auth_openidc, traefik-forward-auth, traefik-oidc-auth and Traefik Hub.
var foreignNames = []foreignName{
	// Provider and client.
	{"providerURL", `issuer issuerURL oidcIssuerURL OIDCProviderIssuer authority idpIssuerURL`},
	{"providerURL: the address without /.well-known/openid-configuration", `OIDCProviderMetadataURL metadataURL wellKnownURL configurationURL discovery discoveryEndpoint`},
	{"write providerURL, clientID and clientSecret at this level, without a section", `provider oidc client`},
	{"write the options directly below the name of the plugin", `plugin plugins traefikoidc middlewares spec http`},
	{"clientID", `OIDCClientID appID applicationID`},
	{"clientSecret", `OIDCClientSecret`},
	{"write clientSecret: file:/path", `clientSecretFile clientSecretPath`},
	{"write clientSecret: ${NAME}, with NAME a variable of Traefik's environment", `clientSecretEnv`},
	{"clientAuthMethod", `OIDCProviderTokenEndpointAuth tokenEndpointAuthMethod authMethod`},
	{"authorizationURL", `loginURL OIDCProviderAuthorizationEndpoint authorizationEndpoint authURL`},
	{"tokenURL", `redeemURL OIDCProviderTokenEndpoint tokenEndpoint`},
	{"userinfoURL", `profileURL validateURL OIDCProviderUserInfoEndpoint userinfoEndpoint`},
	{"jwksURL", `oidcJwksURL OIDCProviderJwksUri jwksURI`},
	{"oidcEndSessionURL", `endSessionURL endSessionEndpoint OIDCProviderEndSessionEndpoint providerLogoutURL`},
	{"revocationURL", `OIDCProviderRevocationEndpoint revocationEndpoint`},
	{"idTokenSigningAlgs", `oidcEnabledSigningAlgs OIDCIDTokenSignedResponseAlg signingAlgs`},
	{"trustedAudiences", `oidcExtraAudiences oidcAudienceClaims OIDCIDTokenAudValues validAudiences`},
	{"allowedTenants", `entraIDAllowedTenants azureTenant tenant tenantID`},
	{"allowPrivateIPAddresses", `allowPrivateIPs`},
	{"caCertPath", `providerCAFiles providerCAFile OIDCCABundlePath caFile rootCA rootCAs`},
	{"insecureSkipVerify", `sslInsecureSkipVerify tlsInsecureSkipVerify skipTLSVerify insecureTLS`},
	{"caCertPath, or insecureSkipVerify for a trial", `OIDCSSLValidateServer sslVerify`},
	{"proxyFromEnvironment", `OIDCOutgoingProxy httpProxy httpsProxy proxyURL`},
	{"providerURL must be the issuer of the discovery document; discoveryURL says where that is", `insecureOIDCSkipIssuerVerification skipOIDCDiscovery skipIssuerCheck`},
	{"allowMissingNonce", `insecureOIDCSkipNonce skipNonce`},

	// Sign-in and sign-out.
	{"write callbackURL as a URL on that host, and cookieDomain: a domain that holds both hosts", `authHost`},
	{"callbackURL", `redirectURL redirectURI OIDCRedirectURI oidcRedirectURL callbackURI callbackPath redirectPath urlPath`},
	{"logoutURL", `logoutURI logoutPath signOutURL signOutPath`},
	{"postLogoutRedirectURI", `OIDCDefaultLoggedOutURL afterLogoutURL postLogoutURL postLogoutURI signedOutURL`},
	{"scopes", `scope oidcScope oidcScopes`},
	{"enablePKCE", `pkce usePKCE codeChallengeMethod OIDCPKCEMethod`},
	{"authorizationParams", `authParams OIDCAuthRequestParams authorizeParams loginParams`},
	{"write it in authorizationParams", `prompt approvalPrompt loginHint acr accessType`},
	{"a sign-in always begins where the user wanted to go, so there is no such page", `loginURI loginPath postLoginRedirectURI signInPage skipProviderButton startPath`},
	{"users return only to the site that they came from, so there is no such list", `whitelistDomains whitelistDomain allowedRedirects`},
	{"a return target is the request's own; leave it out", `trustForwardedURI`},

	// Sessions and cookies.
	{"sessionEncryptionKey", `cookieSecret secret secretKey sessionSecret encryptionKey sessionKey signingKey OIDCCryptoPassphrase cookieEncryptionKey`},
	{"write sessionEncryptionKey: file:/path", `cookieSecretFile sessionEncryptionKeyFile secretFile`},
	{"sessionMaxAge", `cookieExpire lifetime sessionLifetime sessionTTL sessionDuration sessionTimeout OIDCSessionMaxDuration`},
	{"idleTimeout", `OIDCSessionInactivityTimeout inactivityTimeout sessionIdleTimeout`},
	{"refreshGracePeriodSeconds", `cookieRefresh OIDCRefreshAccessTokenBeforeExpiry refreshBefore`},
	{"leave it out: a refresh token is used until the provider refuses it, and sessionMaxAge ends the session", `maxRefreshTokenAgeSeconds refreshTokenMaxAge`},
	{"cookiePrefix", `cookieName cookieNamePrefix OIDCCookie OIDCCookiePrefix`},
	{"cookieDomain", `cookieDomains OIDCCookieDomain`},
	{"forceHTTPS", `cookieSecure secureCookie insecureCookie`},
	{"cookies are always HttpOnly and for the path /", `cookieHTTPOnly OIDCCookieHTTPOnly cookiePath OIDCCookiePath`},
	{"write sessionMaxAge, idleTimeout, cookiePrefix and cookieDomain at this level, without a section", `session sessionCookie stateCookie cookie sessions`},
	{"redis.enabled", `sessionStoreType OIDCCacheType OIDCSessionType sessionStorage`},
	{"redis.address", `redisConnectionURL OIDCRedisCacheServer redisURL redisHost redisAddress redisAddr`},
	{"redis.password", `redisPassword OIDCRedisCachePassword`},

	// Allowed users.
	{"allowedUserDomains", `emailDomains emailDomain domain domains allowedDomains allowedEmailDomains hostedDomain`},
	{"allowedUsers", `whitelist allowedEmails emails users authenticatedEmails authenticatedEmailsFile allowedSubjects`},
	{"allowedRolesAndGroups", `allowedGroup allowedGroups allowedRole allowedRoles groups roles requiredGroups requiredRoles googleGroup`},
	{"write the values in allowedRolesAndGroups, or an expression such as Claim(`name`, `value`) in require of accessRules", `allowedClaims claims requiredClaims assertClaims authorization authorize rules require`},
	{"userIdentifierClaim", `oidcEmailClaim userIDClaim usernameClaim OIDCRemoteUserClaim userClaim emailClaim`},
	{"groupClaimName", `oidcGroupsClaim groupsClaim groupClaim`},
	{"roleClaimName", `rolesClaim roleClaim`},
	{"write emailVerified: ignore", `insecureOIDCAllowUnverifiedEmail allowUnverifiedEmail`},
	{"excludedURLs", `skipAuthRoutes skipAuthRoute skipAuthRegex excludedPaths excludePaths publicPaths ignoredPaths ignorePaths bypassAuthenticationRule skipPaths whitelistedPaths`},
	{"scripts get 401 and navigations a redirect; leave it out", `apiRoutes forceJSONErrors unauthorizedBehavior OIDCUnAuthAction`},
	{"excludedURLs, or accessRules", `rule`},
	{"trustedProxies", `reverseProxy trustedIPs trustedIP realClientIPHeader trustedProxyIPs OIDCXForwardedHeaders`},

	// Headers of requests, and operation.
	{"headers", `injectRequestHeaders forwardHeaders requestHeaders passClaimsAs OIDCPassClaimsAs setHeaders claimHeaders`},
	{"X-Forwarded-User and X-Auth-Request-User are always set; others belong in headers", `setXAuthRequest passUserHeaders`},
	{"write it in headers, such as {name: X-Auth-Request-Token, value: \"${accessToken}\"}", `passAccessToken passAuthorizationHeader setAuthorizationHeader passBasicAuth setBasicAuth forwardToken forwardAccessToken`},
	{"stripAuthorizationHeader", `skipAuthStripHeaders`},
	{"logFile", `loggingFilename logPath logFilePath`},
	{"logFormat", `standardLoggingFormat`},
	{"logLevel", `debug verbose`},
	{"errorTemplate", `customTemplatesDir errorPage errorPages OIDCHTMLErrorTemplate`},
	{"enableBackchannelLogout", `backchannelLogout`},
	{"enableFrontchannelLogout", `frontchannelLogout`},
	{"write each claim in headers, such as {name: X-Phone, value: \"${claims.phone_number}\"}", `OIDCClaimPrefix OIDCClaimDelimiter`},
	{"the response type is always code, and it comes in the query; leave it out", `OIDCResponseType OIDCResponseMode responseType`},
	{"there is nothing to set; leave it out", `cookieCSRFPerRequest cookieCSRFPerRequestLimit cookieCSRFExpire providerDisplayName passHostHeader proxyPrefix banner footer
		requestLogging authLogging silencePingLogging pingPath readyPath OIDCStateTimeout OIDCStateMaxNumberOfCookies OIDCStateInputHeaders OIDCCacheShmMax
		OIDCCacheShmEntrySize OIDCCacheEncrypt OIDCMetadataDir OIDCInfoHook OIDCAuthNHeader OIDCStripCookies csrfCookieName`},
	{"Traefik's router and service say that", `upstreams upstream httpAddress httpsAddress listen entryPoints`},
	{notInThisVersion, `resource introspectionURL introspectionCacheSeconds providerType subjectClaim emailURL groupsURLs
		requiredScopes authMaxAge acrValues responseMode pushedAuthorization clientCertificate clientCertificateKey
		initiateLoginPath bearerReplayProtection protectedResource identityAssertion sessionsPath auditLog auditLogUsers requestIDHeader
		metricsAddress healthPath admin`},
}

// foreignRedisNames are those of the section redis.
var foreignRedisNames = []foreignName{
	{"redis.address", `url uri host port addr server hosts addresses connectionURL endpoint`},
	{"redis.db", `database index`},
	{"redis.username", `user`},
	{"redis.password", `pass auth`},
	{"write redis.password: file:/path", `passwordFile`},
	{"redis.keyPrefix", `prefix namespace`},
	{"redis.tls.enabled", `ssl useTLS secure`},
	{"redis.dialTimeout", `timeout`},
	{"redis.sentinelMasterName", `masterName sentinelMaster useSentinel`},
	{"redis.clusterMode", `cluster useCluster`},
	{"sessionMaxAge", `ttl sessionTTL expiration`},
	{"write it in redis.address", `sentinelAddrs sentinelAddresses sentinelConnectionURLs clusterConnectionURLs clusterAddresses`},
}

// foreignRuleNames are those of an element of accessRules.
var foreignRuleNames = []foreignName{
	{notInThisVersion, `bearer acrValues authMaxAge prompt`},
	{"write it in require, such as Group(`admins`)", `rule match policy allow allowed groups group roles role users user claims claim subject expression`},
	{"paths: prefixes, without wildcards and regular expressions", `pathPrefix pathPrefixes pathRegexp resources uri uris url urls`},
	{"write unauthenticated: pass", `bypass public anonymous`},
}

const notInThisVersion = "is not supported in this version"

// foreign returns the hint for an option of other software: one of the plugin's
// options, or a sentence. It is empty for an unknown name.
func foreign(prefix, name string) string {
	table := foreignNames
	if prefix == "redis." {
		table = foreignRedisNames
	} else if strings.HasPrefix(prefix, "accessRules[") {
		table = foreignRuleNames
	} else if prefix != "" {
		return ""
	}
	name = spelling.Plain(name)
	for _, f := range table {
		for _, other := range strings.Fields(f.names) {
			if spelling.Plain(other) == name {
				return f.hint
			}
		}
	}
	return ""
}

package config

import "strings"

// A gate is an option, or one value of it, that this version does not have.
type gate struct {
	// option is the name as the operator writes it, value the value that is not
	// there yet; an empty value means the whole option.
	option string
	value  string
	// set says that the operator asks for it.
	set bool
}

// gates lists what this version does not have yet. When a feature lands, its
// rows go, and so do the marks in docs/configuration.md, which a test compares.
// The section redis is as written, with the environment and the defaults.
func gates(c *Config, s *Settings, redis RedisOptions) []gate {
	d, rd := New(), redisDefaults()
	auth := s.Client.AuthMethod
	reg := c.DynamicClientRegistration
	return []gate{
		{"sessionStore", "cookie", s.Session.Store == "cookie"},
		{"replayProtection", "deny", s.SignIn.ReplayFallback == "deny"},

		{"audience", "", c.Audience != d.Audience},
		{"strictAudienceValidation", "", c.StrictAudienceValidation},
		{"allowOpaqueTokens", "", c.AllowOpaqueTokens},
		{"requireTokenIntrospection", "", c.RequireTokenIntrospection},
		{"enableBearerAuth", "", c.EnableBearerAuth},
		{"bearerIdentifierClaim", "", c.BearerIdentifierClaim != d.BearerIdentifierClaim},
		{"stripAuthorizationHeader", "", c.StripAuthorizationHeader != d.StripAuthorizationHeader},
		{"bearerEmitWWWAuthenticate", "", c.BearerEmitWWWAuthenticate != d.BearerEmitWWWAuthenticate},
		{"bearerOverridesCookie", "", c.BearerOverridesCookie},
		{"maxTokenAgeSeconds", "", c.MaxTokenAgeSeconds != d.MaxTokenAgeSeconds},
		{"maxIdentifierLength", "", c.MaxIdentifierLength != d.MaxIdentifierLength},
		{"bearerFailureThreshold", "", c.BearerFailureThreshold != d.BearerFailureThreshold},
		{"bearerFailureWindowSeconds", "", c.BearerFailureWindowSeconds != d.BearerFailureWindowSeconds},
		{"bearerFailurePenaltySeconds", "", c.BearerFailurePenaltySeconds != d.BearerFailurePenaltySeconds},

		{"enableBackchannelLogout", "", c.EnableBackchannelLogout},
		{"backchannelLogoutURL", "", c.BackchannelLogoutURL != ""},
		{"enableFrontchannelLogout", "", c.EnableFrontchannelLogout},
		{"frontchannelLogoutURL", "", c.FrontchannelLogoutURL != ""},

		{"clientAuthMethod", "client_secret_jwt", auth == "client_secret_jwt"},
		{"clientAuthMethod", "private_key_jwt", auth == "private_key_jwt"},
		{"clientAuthMethod", "tls_client_auth", auth == "tls_client_auth"},
		{"clientAssertionPrivateKey", "", c.ClientAssertionPrivateKey != ""},
		{"clientAssertionPrivateKeyPath", "", c.ClientAssertionPrivateKeyPath != ""},
		{"clientAssertionKeyID", "", c.ClientAssertionKeyID != ""},
		{"clientAssertionAlg", "", c.ClientAssertionAlg != ""},

		{"dynamicClientRegistration.enabled", "", reg.Enabled},
		{"dynamicClientRegistration.initialAccessToken", "", reg.InitialAccessToken != ""},
		{"dynamicClientRegistration.registrationEndpoint", "", reg.RegistrationEndpoint != ""},
		{"dynamicClientRegistration.persistCredentials", "", reg.PersistCredentials},
		{"dynamicClientRegistration.credentialsFile", "", reg.CredentialsFile != ""},
		{"dynamicClientRegistration.storageBackend", "", s.Registration.Storage != "auto"},
		{"dynamicClientRegistration.redisKeyPrefix", "", reg.RedisKeyPrefix != ""},
		{"dynamicClientRegistration.clientMetadata", "", len(reg.ClientMetadata) > 0},

		{"redis.enabled", "true", contains(truths(), strings.ToLower(redis.Enabled))},
		{"redis.address", "a list", !strings.Contains(redis.Address, "://") && strings.Contains(redis.Address, ",")},
		{"redis.clusterMode", "", !contains(falsehoods(), strings.ToLower(redis.ClusterMode))},
		{"redis.maxRedirects", "", redis.MaxRedirects != rd.MaxRedirects},
		{"redis.readOnly", "", !contains(falsehoods(), strings.ToLower(redis.ReadOnly))},
		{"redis.routeByLatency", "", !contains(falsehoods(), strings.ToLower(redis.RouteByLatency))},
		{"redis.routeRandomly", "", !contains(falsehoods(), strings.ToLower(redis.RouteRandomly))},
		{"redis.sentinelMasterName", "", redis.SentinelMasterName != ""},
		{"redis.sentinelUsername", "", redis.SentinelUsername != ""},
		{"redis.sentinelPassword", "", redis.SentinelPassword != ""},
	}
}

// unsupported refuses what this version does not have.
func (r *reader) unsupported(c *Config, s *Settings, redis RedisOptions) {
	for _, g := range gates(c, s, redis) {
		if !g.set {
			continue
		}
		text := "is not supported in this version"
		if g.value != "" {
			text = g.value + " " + text
		}
		r.problem(g.option, text)
	}
}

package config

import "strings"

// A gate is an option, or one value of it, that this version does not have.
type gate struct {
	// option is the name in a configuration, and value the value that is not supported
	// yet; empty: the whole option.
	option string
	value  string
	// set means that the operator set it.
	set bool
}

// gates lists the options that this version does not have yet. When a feature is added,
// remove its rows, and the entries in docs/configuration.md, which a test compares.
func gates(c *Config, s *Settings) []gate {
	d := New()
	auth := s.Client.AuthMethod
	sec := s.Security
	reg := c.DynamicClientRegistration
	return []gate{
		{"sessionStore", "cookie", s.Session.Store == "cookie"},

		{"audience", "", c.Audience != d.Audience},
		{"strictAudienceValidation", "", c.StrictAudienceValidation},
		{"allowOpaqueTokens", "", c.AllowOpaqueTokens},
		{"requireTokenIntrospection", "", c.RequireTokenIntrospection},
		{"enableBearerAuth", "", c.EnableBearerAuth},
		{"bearerIdentifierClaim", "", c.BearerIdentifierClaim != d.BearerIdentifierClaim},
		{"bearerEmitWWWAuthenticate", "", c.BearerEmitWWWAuthenticate != d.BearerEmitWWWAuthenticate},
		{"bearerOverridesCookie", "", c.BearerOverridesCookie},
		{"maxTokenAgeSeconds", "", c.MaxTokenAgeSeconds != d.MaxTokenAgeSeconds},
		{"maxIdentifierLength", "", c.MaxIdentifierLength != d.MaxIdentifierLength},
		{"bearerFailureThreshold", "", c.BearerFailureThreshold != d.BearerFailureThreshold},
		{"bearerFailureWindowSeconds", "", c.BearerFailureWindowSeconds != d.BearerFailureWindowSeconds},
		{"bearerFailurePenaltySeconds", "", c.BearerFailurePenaltySeconds != d.BearerFailurePenaltySeconds},

		{"clientAuthMethod", "tls_client_auth", auth == "tls_client_auth"},

		{"securityHeaders.disableServerHeader", "", sec.DisableServer},
		{"securityHeaders.disablePoweredByHeader", "", sec.DisablePoweredBy},

		{"dynamicClientRegistration.enabled", "", reg.Enabled},
		{"dynamicClientRegistration.initialAccessToken", "", reg.InitialAccessToken != ""},
		{"dynamicClientRegistration.registrationEndpoint", "", reg.RegistrationEndpoint != ""},
		{"dynamicClientRegistration.persistCredentials", "", reg.PersistCredentials},
		{"dynamicClientRegistration.credentialsFile", "", reg.CredentialsFile != ""},
		{"dynamicClientRegistration.storageBackend", "", s.Registration.Storage != "auto"},
		{"dynamicClientRegistration.redisKeyPrefix", "", reg.RedisKeyPrefix != ""},
		{"dynamicClientRegistration.clientMetadata", "", len(reg.ClientMetadata) > 0},

		{"redis.address", "a list", len(s.Redis.Addresses) > 1 && s.Redis.SentinelMaster == "" && !s.Redis.Cluster},
		{"redis.readOnly", "", s.Redis.ReadOnly},
		{"redis.routeByLatency", "", s.Redis.RouteByLatency},
		{"redis.routeRandomly", "", s.Redis.RouteRandomly},
	}
}

// removal is the remedy for headers to remove from the backend's responses. A plugin
// would have to wrap the ResponseWriter, which breaks streams and upgrades.
const removal = ": put Traefik's own headers middleware before this one, with customResponseHeaders and an empty value for the header"

// unsupported refuses the options that this version does not have.
func (r *reader) unsupported(c *Config, s *Settings) {
	for _, g := range gates(c, s) {
		if !g.set {
			continue
		}
		text := notInThisVersion
		if g.value != "" {
			text = g.value + " " + text
		}
		if strings.HasPrefix(g.option, "securityHeaders.disable") {
			text += removal
		}
		if g.option == "redis.address" {
			text += ": the nodes of a cluster need redis.clusterMode, and sentinels redis.sentinelMasterName"
		}
		r.problem(g.option, text)
	}
}

// Package config converts the operator's options to settings that the other packages
// can rely on.
//
// Traefik decodes the operator's file into a Config: by field name in any case, weakly
// typed, with every unknown key in the Extra of its level. Parse then expands variables
// and files, sets defaults, and checks everything. It returns typed Settings, or one
// error that names every problem.
//
// No error and no warning holds a value of an option that may be secret. Settings hold
// secrets, so they are never given to a formatter.
package config

// Config has the operator's options. Field ProviderURL is the option providerURL. Lists
// are nil by default, because the decoder merges into a default list index by index.
// Use New: the zero value lacks the defaults.
type Config struct {
	// Provider and client. ClientSecret and ClientAssertionPrivateKey are texts. A nil
	// is an omitted option, so that an empty secret can be refused.
	ProviderURL                   string
	ClientID                      string
	ClientSecret                  any
	ClientAuthMethod              string
	ClientAssertionPrivateKey     any
	ClientAssertionPrivateKeyPath string
	ClientAssertionKeyID          string
	ClientAssertionAlg            string
	DiscoveryURL                  string
	AuthorizationURL              string
	TokenURL                      string
	UserinfoURL                   string
	JwksURL                       string
	RevocationURL                 string
	OIDCEndSessionURL             string
	ProxyFromEnvironment          bool
	AllowMissingNonce             bool
	IDTokenSigningAlgs            []string
	TrustedAudiences              []string
	AllowedTenants                []string
	Userinfo                      string
	AllowPrivateIPAddresses       bool
	CACertPath                    string
	CACertPEM                     string
	InsecureSkipVerify            bool
	DynamicClientRegistration     RegistrationOptions
	Providers                     []ProviderOptions
	DefaultProvider               string

	// Sign-in and sign-out.
	CallbackURL               string
	LogoutURL                 string
	PostLogoutRedirectURI     string
	Scopes                    []string
	OverrideScopes            bool
	EnablePKCE                bool
	AuthorizationParams       map[string]any
	ExtraAuthParams           map[string]any // another name of AuthorizationParams
	EnableBackchannelLogout   bool
	BackchannelLogoutURL      string
	BackchannelMaxAge         string
	EnableFrontchannelLogout  bool
	FrontchannelLogoutURL     string
	DisableReplayDetection    bool
	ReplayProtection          string
	RefreshGracePeriodSeconds int

	// Sessions and cookies. SessionEncryptionKey is a string or a list of
	// strings: a field of type []string would be split at commas.
	SessionEncryptionKey any
	SessionMaxAge        any // a number of seconds or a duration; nil: a day. A default of type int would refuse a text.
	IdleTimeout          string
	SessionGroup         string
	SessionStore         string
	CookiePrefix         string
	CookieDomain         string
	CookieSameSite       string
	StripAuthCookies     bool
	ForceHTTPS           bool

	// Allowed users.
	AllowedUsers          []string
	AllowedUserDomains    []string
	AllowedRolesAndGroups []string
	UserIdentifierClaim   string
	UserDomainClaim       string
	GroupClaimName        string
	RoleClaimName         string
	EmailVerified         string
	ExcludedURLs          []string
	AccessRules           []AccessRuleOptions
	Unauthenticated       string

	// Tokens of API clients.
	Audience                    string
	StrictAudienceValidation    bool
	AllowOpaqueTokens           bool
	RequireTokenIntrospection   bool
	EnableBearerAuth            bool
	BearerIdentifierClaim       string
	StripAuthorizationHeader    bool
	BearerEmitWWWAuthenticate   bool
	BearerOverridesCookie       bool
	MaxTokenAgeSeconds          int
	MaxIdentifierLength         int
	BearerFailureThreshold      int
	BearerFailureWindowSeconds  int
	BearerFailurePenaltySeconds int

	// Headers of requests and responses, and pages.
	Headers            []HeaderOptions
	MinimalHeaders     bool
	KeepRequestHeaders []string
	SecurityHeaders    SecurityHeadersOptions
	ErrorTemplate      string
	PageLanguage       string
	PageTexts          string

	// Operation.
	LogLevel       string
	LogFormat      string
	LogFile        string
	RateLimit      int
	TrustedProxies []string
	Redis          RedisOptions

	// Extra collects unknown options, which are refused by name.
	Extra map[string]any `mapstructure:",remain"`
}

// HeaderOptions is an element of headers: a header that the backend receives.
type HeaderOptions struct {
	Name  string
	Value string
	Extra map[string]any `mapstructure:",remain"`
}

// AccessRuleOptions is an element of accessRules: a rule about the requests that it
// matches.
type AccessRuleOptions struct {
	Paths           []string
	Methods         []string
	Hosts           []string
	Require         string
	Unauthenticated string
	Provider        string
	Headers         []HeaderOptions
	Extra           map[string]any `mapstructure:",remain"`
}

// ProviderOptions is an element of providers: a provider, its client, and the users who
// may pass. An option that is left out and is not about the provider itself is that of
// the top level.
type ProviderOptions struct {
	Name                          string
	Label                         string
	ProviderURL                   string
	ClientID                      string
	ClientSecret                  any
	ClientAuthMethod              string
	ClientAssertionPrivateKey     any
	ClientAssertionPrivateKeyPath string
	ClientAssertionKeyID          string
	ClientAssertionAlg            string
	DiscoveryURL                  string
	AuthorizationURL              string
	TokenURL                      string
	UserinfoURL                   string
	JwksURL                       string
	RevocationURL                 string
	OIDCEndSessionURL             string
	ProxyFromEnvironment          bool
	AllowMissingNonce             bool
	IDTokenSigningAlgs            []string
	TrustedAudiences              []string
	AllowedTenants                []string
	Userinfo                      string
	AllowPrivateIPAddresses       bool
	CACertPath                    string
	CACertPEM                     string
	InsecureSkipVerify            bool
	Scopes                        []string
	OverrideScopes                bool
	EnablePKCE                    any // a boolean; nil: that of the top level, which is true by default
	AuthorizationParams           map[string]any
	BackchannelMaxAge             string
	AllowedUsers                  []string
	AllowedUserDomains            []string
	AllowedRolesAndGroups         []string
	UserIdentifierClaim           string
	UserDomainClaim               string
	GroupClaimName                string
	RoleClaimName                 string
	EmailVerified                 string
	Extra                         map[string]any `mapstructure:",remain"`
}

// SecurityHeadersOptions is the section securityHeaders.
type SecurityHeadersOptions struct {
	Enabled                           bool
	Profile                           string
	ContentSecurityPolicy             string
	StrictTransportSecurity           bool
	StrictTransportSecurityMaxAge     int
	StrictTransportSecuritySubdomains bool
	StrictTransportSecurityPreload    bool
	FrameOptions                      string
	ContentTypeOptions                string
	XSSProtection                     string
	ReferrerPolicy                    string
	PermissionsPolicy                 string
	CrossOriginResourcePolicy         string
	CrossOriginOpenerPolicy           string
	CrossOriginEmbedderPolicy         string
	CORSEnabled                       bool
	CORSAllowedOrigins                []string
	CORSAllowedMethods                []string
	CORSAllowedHeaders                []string
	CORSAllowCredentials              bool
	CORSMaxAge                        int
	CustomHeaders                     map[string]any
	DisableServerHeader               bool
	DisablePoweredByHeader            bool
	Extra                             map[string]any `mapstructure:",remain"`
}

// RegistrationOptions is the section dynamicClientRegistration. The keys of
// ClientMetadata are those of RFC 7591, in snake_case or in camelCase.
type RegistrationOptions struct {
	Enabled              bool
	InitialAccessToken   string
	RegistrationEndpoint string
	PersistCredentials   bool
	CredentialsFile      string
	StorageBackend       string
	RedisKeyPrefix       string
	ClientMetadata       map[string]any
	Extra                map[string]any `mapstructure:",remain"`
}

// RedisOptions is the section redis. Every value is a string, and an empty one is
// unset, because the environment sets options that the file omits.
type RedisOptions struct {
	Enabled                 string
	Address                 string
	Username                string
	Password                string
	DB                      string
	KeyPrefix               string
	CacheMode               string
	MaxRetries              string
	PoolSize                string
	MinIdleConns            string
	MaxConnAge              string
	PoolTimeout             string
	IdleTimeout             string
	DialTimeout             string
	ConnectTimeout          string
	ReadTimeout             string
	WriteTimeout            string
	OperationTimeout        string
	CircuitBreakerThreshold string
	CircuitBreakerTimeout   string
	EnableCircuitBreaker    string
	EnableHealthCheck       string
	HealthCheckInterval     string
	EnableTLS               string
	TLSSkipVerify           string
	TLS                     RedisTLSOptions
	ClusterMode             string
	MaxRedirects            string
	ReadOnly                string
	RouteByLatency          string
	RouteRandomly           string
	SentinelMasterName      string
	SentinelUsername        string
	SentinelPassword        string
	HybridL1Size            string
	HybridL1MemoryMB        string
	L1TTL                   string
	MaxL1Age                string
	Extra                   map[string]any `mapstructure:",remain"`
}

// RedisTLSOptions is the section redis.tls.
type RedisTLSOptions struct {
	Enabled            string
	CertFile           string
	KeyFile            string
	CAFile             string
	InsecureSkipVerify string
	ServerName         string
	MinVersion         string
	Extra              map[string]any `mapstructure:",remain"`
}

// New returns a Config with the defaults. Parse sets those of redis, after the
// environment.
func New() *Config {
	return &Config{
		Userinfo:                    "auto",
		PostLogoutRedirectURI:       "/",
		EnablePKCE:                  true,
		ReplayProtection:            "allow",
		RefreshGracePeriodSeconds:   60,
		IdleTimeout:                 "0",
		SessionStore:                "server",
		StripAuthCookies:            true,
		ForceHTTPS:                  true,
		UserIdentifierClaim:         "email",
		UserDomainClaim:             "email",
		GroupClaimName:              "groups",
		RoleClaimName:               "roles",
		EmailVerified:               "deny",
		Unauthenticated:             "auto",
		BearerIdentifierClaim:       "sub",
		StripAuthorizationHeader:    true,
		BearerEmitWWWAuthenticate:   true,
		MaxTokenAgeSeconds:          86400,
		MaxIdentifierLength:         256,
		BearerFailureThreshold:      20,
		BearerFailureWindowSeconds:  60,
		BearerFailurePenaltySeconds: 60,
		SecurityHeaders: SecurityHeadersOptions{
			Enabled:                       true,
			StrictTransportSecurityMaxAge: 31536000,
			CORSMaxAge:                    86400,
		},
		DynamicClientRegistration: RegistrationOptions{StorageBackend: "auto"},
		PageLanguage:              "auto",
		LogLevel:                  "info",
		LogFormat:                 "text",
		LogFile:                   "stdout",
		RateLimit:                 100,
	}
}

// redisDefaults returns the section redis with every default that is a plain value. A
// default applies if neither the file nor the environment sets the option.
func redisDefaults() RedisOptions {
	return RedisOptions{
		Enabled:                 "false",
		DB:                      "0",
		KeyPrefix:               "traefikoidc",
		CacheMode:               "hybrid",
		MaxRetries:              "3",
		PoolSize:                "10",
		MinIdleConns:            "5",
		MaxConnAge:              "3600",
		PoolTimeout:             "4",
		IdleTimeout:             "900",
		DialTimeout:             "5",
		ReadTimeout:             "3",
		WriteTimeout:            "3",
		OperationTimeout:        "500ms",
		CircuitBreakerThreshold: "5",
		CircuitBreakerTimeout:   "60",
		EnableCircuitBreaker:    "true",
		EnableHealthCheck:       "true",
		HealthCheckInterval:     "30",
		TLS: RedisTLSOptions{
			Enabled:            "false",
			InsecureSkipVerify: "false",
			MinVersion:         "1.2",
		},
		ClusterMode:      "false",
		MaxRedirects:     "3",
		ReadOnly:         "false",
		RouteByLatency:   "false",
		RouteRandomly:    "false",
		HybridL1Size:     "100000",
		HybridL1MemoryMB: "64",
		L1TTL:            "1s",
		MaxL1Age:         "60s",
	}
}

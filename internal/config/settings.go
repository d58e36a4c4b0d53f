package config

import (
	"net/netip"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/headers"
	"github.com/traefikoidc/traefikoidc/internal/texts"
)

// Settings is a valid configuration. It holds secrets: never give it, or a part of it,
// to a formatter or a log. It is not changed after Parse, so that many handlers may
// read it.
type Settings struct {
	Provider     Provider
	Client       Client
	SignIn       SignIn
	Session      Session
	Access       Access
	Bearer       Bearer
	Headers      Headers
	Security     Security
	Pages        Pages
	Logout       Logout
	Limits       Limits
	Registration Registration
	Redis        Redis

	Log Log

	// Providers are those of the option providers, in its order; nil: there is one, that
	// of Provider. Then the fields above are those of one of them: see [For].
	Providers []OneProvider
	// DefaultProvider is the index of the provider of a user who has not chosen; -1: such
	// a user chooses on a page.
	DefaultProvider int
	// ChoosePath is the path of that page.
	ChoosePath string

	// Warnings are sentences for the log about options that are allowed and dangerous.
	// They hold no secrets.
	Warnings []string
}

// OneProvider is an entry of providers.
type OneProvider struct {
	// Name is a part of paths and of cookie names. Label is for users.
	Name  string
	Label string

	Provider Provider
	Client   Client
	SignIn   SignIn
	Logout   Logout
	Session  Session
	Access   Access
}

// Log has the level, the format and the destination of log lines.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is text or json.
	Format string
	// File is stdout, stderr or an absolute path in its shortest form.
	File string
}

// Provider has the OpenID provider and the way to it.
type Provider struct {
	// Issuer is providerURL exactly as written: the issuer that discovery and tokens
	// must name.
	Issuer string
	// AllowHTTP permits plain http to the provider; false unless Issuer is
	// itself plain http.
	AllowHTTP bool
	// AllowPrivate permits private and loopback addresses for hosts that only discovery
	// names.
	AllowPrivate bool
	// CAPEM holds checked certificates that replace the system's trusted ones; empty
	// means the system's.
	CAPEM              string
	InsecureSkipVerify bool
	// DiscoveryURL is the address of the metadata; empty means below Issuer.
	DiscoveryURL string
	// These replace values of discovery; empty means the value of discovery. With the
	// first, second and fourth there is no discovery.
	AuthorizationURL string
	TokenURL         string
	UserinfoURL      string
	JWKSURL          string
	RevocationURL    string
	EndSessionURL    string
	// Proxy: requests to the provider go through the proxy of HTTP_PROXY,
	// HTTPS_PROXY and NO_PROXY.
	Proxy bool
	// AllowMissingNonce accepts ID tokens without a nonce. It requires PKCE.
	AllowMissingNonce bool
	// SigningAlgs are the ID token algorithms allowed; empty means those that discovery
	// offers, without HS and none.
	SigningAlgs []string
	// TrustedAudiences are other audiences that an ID token may have.
	TrustedAudiences []string
	// AllowedTenants are those of an issuer with many; "*" is all of them.
	AllowedTenants []string
	// UserInfo is auto, always or never.
	UserInfo string
}

// Client identifies the plugin at the provider.
type Client struct {
	ID string
	// Secret is empty for a public client.
	Secret string
	// AuthMethod is a token_endpoint_auth_method; empty means one that discovery
	// offers. It is none for a public client.
	AuthMethod string
	// AssertionKey is a private key in PEM, for private_key_jwt.
	AssertionKey   string
	AssertionKeyID string
	AssertionAlg   string
}

// SignIn has the addresses and parameters of a sign-in.
type SignIn struct {
	// CallbackPath is the path that the plugin serves. CallbackURL is the redirect URI
	// if the operator set an absolute one; empty means the request's own origin.
	CallbackPath string
	CallbackURL  string
	// Scopes are requested in this order; openid is always among them.
	Scopes []string
	PKCE   bool
	// Params are further parameters of the authorization request. None of them is one
	// that the plugin sets itself.
	Params map[string]string
	// MaxAge is the max_age among Params, against which ID tokens are checked; zero
	// means none.
	MaxAge time.Duration
	// DetectReplay: states, nonces and codes are remembered as used.
	DetectReplay bool
	// ReplayFallback is allow or deny: the result of a check while Redis is
	// unreachable.
	ReplayFallback string
}

// Session has the lifetime of sessions and the properties of their cookie.
type Session struct {
	// Keys are secrets of 32 bytes or more: the first seals, all open.
	Keys [][]byte
	// MaxAge is counted from the sign-in. IdleTimeout zero means none.
	MaxAge      time.Duration
	IdleTimeout time.Duration
	// RefreshGrace is how long before expiry tokens are refreshed.
	RefreshGrace time.Duration
	// Group is shared by middlewares that share sessions; empty means the name
	// of the middleware.
	Group string
	// Store is server or cookie.
	Store string
	// CookieName is the whole name of the session's cookie, and the beginning
	// of the names of the others.
	CookieName   string
	CookieDomain string
	SameSite     string // lax, strict, none or partitioned
	// Secure is forceHTTPS: cookies are for https only, and the plugin's URLs are
	// https.
	Secure bool
	// StripCookies removes the plugin's cookies from requests to the backend.
	StripCookies bool
}

// Access has the allowed users, and the paths that need no sign-in. A nil list
// does not restrict access.
type Access struct {
	Users          []string
	Domains        []string
	RolesAndGroups []string
	UserClaim      string
	DomainClaim    string // its domain is compared with Domains
	GroupClaim     string
	RoleClaim      string
	// EmailVerified is ignore, deny or require.
	EmailVerified string
	// Excluded are canonical path prefixes.
	Excluded []string
	// Rules come before the lists and Excluded: the first that matches decides.
	Rules []AccessRule
	// Unauthenticated is the response to requests without a session that no rule matches:
	// auto, redirect, deny or pass.
	Unauthenticated string
	// Closed: nobody passes where no rule matches. The provider has no lists of its own,
	// and those of the top level are for another one.
	Closed bool
}

// AccessRule is an element of accessRules. A nil list matches everything.
type AccessRule struct {
	Paths   []string
	Methods []string
	Hosts   []string
	// Require is an expression of package policy; empty: every signed-in user.
	Require string
	// Unauthenticated is as in Access; empty: that of Access, or auto for pass.
	Unauthenticated string
	// Provider is the name of the provider whose users may pass; empty: each.
	Provider string
	// Headers are set in addition to those of Headers, and replace those of the same
	// name.
	Headers []headers.Template
}

// Bearer has the rules for access tokens.
type Bearer struct {
	Enabled bool
	// Audience is the client's ID if the operator names none.
	Audience             string
	StrictAudience       bool
	AllowOpaque          bool
	RequireIntrospection bool
	IdentifierClaim      string
	StripAuthorization   bool
	EmitWWWAuthenticate  bool
	OverridesCookie      bool
	MaxTokenAge          time.Duration
	MaxIdentifierLength  int
	FailureThreshold     int
	FailureWindow        time.Duration
	FailurePenalty       time.Duration
}

// Headers has the headers that the backend receives.
type Headers struct {
	Templates []headers.Template
	// Minimal: only X-Forwarded-User.
	Minimal bool
	// Kept are the names of identity headers of other proxies that pass.
	Kept []string
}

// Security holds the section securityHeaders.
type Security struct {
	Enabled          bool
	Options          headers.SecurityOptions
	DisableServer    bool
	DisablePoweredBy bool
	// CORS does not apply unless CORSEnabled.
	CORSEnabled bool
	CORS        headers.CORSOptions
}

// Pages has the options of the pages that users see.
type Pages struct {
	// Template is the text of errorTemplate; empty means the built-in page.
	Template string
	// Texts have the languages of the pages, and the texts of pageTexts.
	Texts texts.Options
}

// Logout has the paths and pages of sign-outs.
type Logout struct {
	Path string
	// PostLogoutURI is a path of the site or an absolute URL.
	PostLogoutURI string
	// BackchannelPath and FrontchannelPath are empty where they are off.
	BackchannelPath  string
	FrontchannelPath string
	// TokenMaxAge is the greatest age of a logout token without exp; zero means that
	// exp is required.
	TokenMaxAge time.Duration
}

// Limits bounds the requests of a client address that cause work.
type Limits struct {
	// Rate is per second and client address.
	Rate int
	// TrustedProxies are the networks of proxies. Their X-Forwarded-For names the client.
	TrustedProxies []netip.Prefix
}

// Registration holds the section dynamicClientRegistration.
type Registration struct {
	Enabled            bool
	InitialAccessToken string
	Endpoint           string
	Persist            bool
	File               string
	// Storage is file, redis or auto.
	Storage        string
	RedisKeyPrefix string
	// Metadata has the names of RFC 7591 and values of type string, []string,
	// bool or int.
	Metadata map[string]any
}

// Redis has the Redis server that replicas share. If Enabled is false, the other fields
// do not apply.
type Redis struct {
	Enabled bool
	// Mode is memory, redis or hybrid.
	Mode string
	// Network is tcp or unix; Addresses are host:port, or one path.
	Network   string
	Addresses []string
	Username  string
	Password  string
	DB        int
	// KeyPrefix ends in its separator.
	KeyPrefix string
	TLS       RedisTLS

	MaxRetries   int
	PoolSize     int
	MinIdleConns int
	MaxConnAge   time.Duration
	PoolTimeout  time.Duration
	IdleTimeout  time.Duration
	DialTimeout  time.Duration
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
	// OperationTimeout is the whole budget of a request's command.
	OperationTimeout time.Duration

	Breaker          bool
	BreakerThreshold int
	BreakerTimeout   time.Duration
	HealthCheck      bool
	HealthInterval   time.Duration

	Cluster        bool
	MaxRedirects   int
	ReadOnly       bool
	RouteByLatency bool
	RouteRandomly  bool

	SentinelMaster   string
	SentinelUsername string
	SentinelPassword string

	// L1Entries and L1Bytes bound the memory in front of Redis. L1TTL is the age at
	// which an entry is read again while invalidation is down, and MaxL1Age while it is
	// up.
	L1Entries int
	L1Bytes   int64
	L1TTL     time.Duration
	MaxL1Age  time.Duration
}

// RedisTLS has the TLS options of the connection to Redis. The PEM texts have been read
// from the operator's files and checked.
type RedisTLS struct {
	Enabled            bool
	CertPEM            string
	KeyPEM             string
	CAPEM              string
	InsecureSkipVerify bool
	// CAFile, CertFile and KeyFile are the paths of the PEM texts.
	CAFile, CertFile, KeyFile string
	// ServerName is empty if the address names the server.
	ServerName string
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13.
	MinVersion uint16
}

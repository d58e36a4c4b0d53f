package config

import (
	"net/netip"
	"time"
)

// Settings is a configuration that Parse found no fault with. It holds secrets:
// never give it, or a part of it, to a formatter or a log. It is not changed
// after Parse, so that many handlers may read it.
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

	// Warnings are sentences for the log about options that are allowed and
	// dangerous. They hold no secrets.
	Warnings []string
}

// Log says what is logged, how and where.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is text or json.
	Format string
	// File is stdout, stderr or an absolute path in its shortest form.
	File string
}

// Provider says which OpenID provider is asked, and how.
type Provider struct {
	// Issuer is providerURL exactly as written: the issuer that discovery and
	// tokens must name.
	Issuer string
	// AllowHTTP permits plain http to the provider; false unless Issuer is
	// itself plain http.
	AllowHTTP bool
	// AllowPrivate permits private and loopback addresses for hosts that only
	// discovery names.
	AllowPrivate bool
	// CAPEM holds certificates, checked, to trust instead of the system's;
	// empty means the system's.
	CAPEM              string
	InsecureSkipVerify bool
	// DiscoveryURL is where the metadata is; empty means below Issuer.
	DiscoveryURL string
	// These replace what discovery says; empty means discovery decides. With the
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
	// AllowMissingNonce accepts ID tokens without a nonce. PKCE is on then.
	AllowMissingNonce bool
	// SigningAlgs are the ID token algorithms allowed; empty means what
	// discovery offers, without HS and none.
	SigningAlgs []string
	// TrustedAudiences may stand beside the client's ID in an ID token.
	TrustedAudiences []string
	// AllowedTenants are those of an issuer with many; "*" is all of them.
	AllowedTenants []string
	// UserInfo is auto, always or never.
	UserInfo string
}

// Client says who we are to the provider.
type Client struct {
	ID string
	// Secret is empty for a public client.
	Secret string
	// AuthMethod is a token_endpoint_auth_method, or empty: what discovery
	// offers. It is none for a public client.
	AuthMethod string
	// AssertionKey is a private key in PEM, for private_key_jwt.
	AssertionKey   string
	AssertionKeyID string
	AssertionAlg   string
}

// SignIn says how a browser is sent to the provider and comes back.
type SignIn struct {
	// CallbackPath is the path that we serve. CallbackURL is the redirect URI
	// where the operator fixed it; empty means the request's own origin.
	CallbackPath string
	CallbackURL  string
	// Scopes are asked for in this order; openid is always among them.
	Scopes []string
	PKCE   bool
	// Params are further parameters of the authorization request. None of them
	// is one that we set ourselves.
	Params map[string]string
	// MaxAge is the max_age among Params, which ID tokens are to be checked
	// against; zero means none.
	MaxAge time.Duration
	// DetectReplay: states, nonces and codes are remembered as used.
	DetectReplay bool
	// ReplayFallback is allow or deny: what a check that cannot ask Redis does.
	ReplayFallback string
}

// Session says how long sessions live and what their cookie looks like.
type Session struct {
	// Keys are secrets of 32 bytes or more: the first seals, all open.
	Keys [][]byte
	// MaxAge is counted from the sign-in. IdleTimeout zero means none.
	MaxAge      time.Duration
	IdleTimeout time.Duration
	// RefreshGrace is how long before expiry tokens are renewed.
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
	// Secure is forceHTTPS: cookies are for https alone, our URLs are https.
	Secure bool
	// StripCookies removes our cookies from what the backend receives.
	StripCookies bool
}

// Access says who may pass, and where nobody is asked. A nil list has no say.
type Access struct {
	Users          []string
	Domains        []string
	RolesAndGroups []string
	UserClaim      string
	DomainClaim    string // whose domain is compared with Domains
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
	// Headers are set beside those of Headers, and replace those of the same name.
	Headers []HeaderTemplate
}

// Bearer says how access tokens are judged.
type Bearer struct {
	Enabled bool
	// Audience is the client's ID where the operator names none.
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

// Headers says what the backend receives.
type Headers struct {
	Templates []HeaderTemplate
	// Minimal: X-Forwarded-User alone.
	Minimal bool
	// Kept are the names of identity headers of other proxies that pass.
	Kept []string
}

// HeaderTemplate is a header whose value is made from the session's claims.
type HeaderTemplate struct {
	Name  string
	Value string
}

// Security holds the section securityHeaders. Empty texts are not set.
type Security struct {
	Enabled bool
	// Profile is default, strict, development, api or custom, or empty where
	// the operator names none.
	Profile                   string
	ContentSecurityPolicy     string
	HSTS                      bool
	HSTSMaxAge                time.Duration
	HSTSSubdomains            bool
	HSTSPreload               bool
	FrameOptions              string
	ContentTypeOptions        string
	XSSProtection             string
	ReferrerPolicy            string
	PermissionsPolicy         string
	CrossOriginResourcePolicy string
	CrossOriginOpenerPolicy   string
	CrossOriginEmbedderPolicy string
	Custom                    []HeaderTemplate
	DisableServer             bool
	DisablePoweredBy          bool
	CORS                      CORS
}

// CORS says which other origins' scripts may call the backend.
type CORS struct {
	Enabled          bool
	Origins          []string
	Methods          []string
	Headers          []string
	AllowCredentials bool
	MaxAge           time.Duration
}

// Pages says what users see when something fails.
type Pages struct {
	// Template is the text of errorTemplate; empty means the page built in.
	Template string
	// Language is auto or the tag of a language that there are texts in.
	Language string
	// Texts are those of pageTexts, by key, in the language TextsTag; nil: none.
	Texts    map[string]string
	TextsTag string
}

// Logout says where and how sessions end.
type Logout struct {
	Path string
	// PostLogoutURI is a path of ours or an absolute URL.
	PostLogoutURI string
	// BackchannelPath and FrontchannelPath are empty where they are off.
	BackchannelPath  string
	FrontchannelPath string
	// TokenMaxAge is how old a logout token without exp may be; zero means that
	// exp is required.
	TokenMaxAge time.Duration
}

// Limits says how often a client address may ask for what costs something.
type Limits struct {
	// Rate is per second and client address.
	Rate int
	// TrustedProxies are the networks whose X-Forwarded-For names the client.
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

// Redis says which server holds what replicas share. Where Enabled is false
// nothing else counts.
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

	// L1Entries and L1Bytes bound the memory in front of Redis; L1TTL is the
	// age at which an entry is asked again while invalidation is down, and MaxL1Age
	// while it is up.
	L1Entries int
	L1Bytes   int64
	L1TTL     time.Duration
	MaxL1Age  time.Duration
}

// RedisTLS says how the connection to Redis is protected. The PEM texts have
// been read from the operator's files and checked.
type RedisTLS struct {
	Enabled            bool
	CertPEM            string
	KeyPEM             string
	CAPEM              string
	InsecureSkipVerify bool
	// CAFile, CertFile and KeyFile are the paths that the PEM texts were read from.
	CAFile, CertFile, KeyFile string
	// ServerName is empty where the address names the server.
	ServerName string
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13.
	MinVersion uint16
}

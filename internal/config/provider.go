package config

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// provider reads the addresses of the provider and the way to it.
func (r *reader) provider(c *Config) Provider {
	p := Provider{
		AllowPrivate:       c.AllowPrivateIPAddresses,
		InsecureSkipVerify: c.InsecureSkipVerify,
	}
	p.Issuer, p.AllowHTTP = r.issuer(c)
	p.CAPEM = r.certificates(c)
	p.DiscoveryURL = r.endpoint("discoveryURL", c.DiscoveryURL, p.AllowHTTP)
	p.AuthorizationURL = r.endpoint("authorizationURL", c.AuthorizationURL, p.AllowHTTP)
	p.TokenURL = r.endpoint("tokenURL", c.TokenURL, p.AllowHTTP)
	p.UserinfoURL = r.endpoint("userinfoURL", c.UserinfoURL, p.AllowHTTP)
	p.JWKSURL = r.endpoint("jwksURL", c.JwksURL, p.AllowHTTP)
	p.RevocationURL = r.endpoint("revocationURL", c.RevocationURL, p.AllowHTTP)
	p.EndSessionURL = r.endpoint("oidcEndSessionURL", c.OIDCEndSessionURL, p.AllowHTTP)
	p.SigningAlgs = r.signingAlgs(c.IDTokenSigningAlgs)
	p.TrustedAudiences = r.list("trustedAudiences", c.TrustedAudiences)
	p.AllowedTenants = r.list("allowedTenants", c.AllowedTenants)
	p.UserInfo = r.choice("userinfo", c.Userinfo, "auto", []string{"auto", "always", "never"})
	p.Proxy = c.ProxyFromEnvironment
	p.AllowMissingNonce = r.missingNonce(c)
	if p.AuthorizationURL != "" && p.TokenURL != "" && p.JWKSURL != "" && p.DiscoveryURL != "" {
		r.problem("discoveryURL", "has no effect beside authorizationURL, tokenURL and jwksURL: with these there is no discovery")
	}
	if p.InsecureSkipVerify {
		r.warn("insecureSkipVerify", "the provider's certificate is not checked: anyone on the way to it can sign in as anyone; give caCertPath or caCertPEM instead")
	}
	return p
}

// missingNonce reads allowMissingNonce. Without a nonce only PKCE proves that a code
// belongs to this sign-in (RFC 9700, section 2.1.1), so it has to be on.
func (r *reader) missingNonce(c *Config) bool {
	if !c.AllowMissingNonce {
		return false
	}
	if !c.EnablePKCE {
		r.problem("allowMissingNonce", "needs enablePKCE: true; without both, a stolen code signs anybody in")
	}
	r.warn("allowMissingNonce", "an ID token without a nonce is accepted: only PKCE ties the sign-in's response to its request")
	return true
}

// issuer reads providerURL, and whether the provider may be reached over plain http. It
// may if it is on this machine, or if the operator has declared that the site or the
// network is not public.
func (r *reader) issuer(c *Config) (string, bool) {
	s := r.required("providerURL", c.ProviderURL, "the issuer, such as https://id.example.com/realms/main")
	if s == "" {
		return "", false
	}
	u, fault := parseURL(s)
	if fault == "" {
		fault = issuerFault(s, u)
	}
	if fault == "" && u.Scheme == "http" {
		if c.ForceHTTPS && !c.AllowPrivateIPAddresses && !isLoopback(u.Hostname()) {
			fault = "must be https; plain http needs allowPrivateIPAddresses: true, for a provider in your own network"
		} else if !isLoopback(u.Hostname()) {
			r.warn("providerURL", "is plain http: anyone on the way to the provider can sign in as anyone")
		}
	}
	if fault != "" {
		r.problem("providerURL", fault)
		return "", false
	}
	return s, u.Scheme == "http"
}

// issuerFault applies OpenID Connect Core, section 1.2 (Issuer Identifier).
func issuerFault(raw string, u *url.URL) string {
	switch {
	case u.RawQuery != "" || strings.Contains(raw, "?"):
		return "must not have a query"
	case strings.ContainsAny(raw, "{}<>"):
		return "has a placeholder in braces: write what it stands for, such as the tenant's id; for several tenants of Entra ID use the address with organizations or common, and allowedTenants"
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/.well-known/openid-configuration"):
		return "is the issuer: leave /.well-known/openid-configuration out"
	}
	return ""
}

// signingAlgs reads the algorithms that an ID token may have.
func (r *reader) signingAlgs(raw []string) []string {
	var out []string
	for _, alg := range r.list("idTokenSigningAlgs", raw) {
		if alg = r.choice("idTokenSigningAlgs", alg, "", oidc.Algorithms()); alg != "" {
			out = append(out, alg)
		}
	}
	return out
}

// certificates reads the trusted certificates of caCertPath and caCertPEM.
func (r *reader) certificates(c *Config) string {
	var out string
	if path := r.text("caCertPath", c.CACertPath); path != "" {
		out = r.certificateFile("caCertPath", path)
	}
	if c.CACertPEM != "" {
		before := len(r.problems)
		text := r.content("caCertPEM", c.CACertPEM, maxFile)
		if len(r.problems) == before {
			r.checkCertificates("caCertPEM", text)
			out = joinPEM(out, text)
		}
	}
	return out
}

// certificateFile reads and checks a file of certificates.
func (r *reader) certificateFile(option, path string) string {
	before := len(r.problems)
	text := r.file(option, strings.TrimPrefix(path, "file:"), maxFile)
	if len(r.problems) == before {
		r.checkCertificates(option, text)
	}
	return text
}

func joinPEM(a, b string) string {
	if a == "" || strings.HasSuffix(a, "\n") {
		return a + b
	}
	return a + "\n" + b
}

// checkCertificates refuses a text that is not only certificates in PEM.
func (r *reader) checkCertificates(option, text string) {
	rest := []byte(text)
	count := 0
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			r.problem(option, "holds PEM that is not a certificate")
			return
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			r.problem(option, "holds a certificate that cannot be read")
			return
		}
		count++
	}
	if count == 0 {
		r.problem(option, "holds no certificate in PEM")
	}
}

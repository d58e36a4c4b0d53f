package oidc

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Metadata describes a provider (OpenID Connect Discovery 1.0, section 3). It is not
// changed after it is returned. Empty fields: the provider has no such endpoint, or
// does not list the values.
type Metadata struct {
	Issuer                string // may contain {tenantid}
	AuthorizationEndpoint string
	TokenEndpoint         string
	JWKSURI               string
	UserinfoEndpoint      string
	RevocationEndpoint    string
	EndSessionEndpoint    string

	ScopesSupported []string
	AuthMethods     []string // of the token endpoint
	SigningAlgs     []string // of ID tokens
	UserinfoAlgs    []string
	SendsIssuer     bool // in authorization responses (RFC 9207)
	// Unusable names the optional endpoints that are ignored, because their value in
	// the document is not an absolute https URL.
	Unusable []string

	tenantsAllowed     []string
	anyTenant          bool
	issuerHasTenant    bool
	alternativeIssuers []string
}

// parseMetadata reads a discovery document and refuses one of another issuer (OpenID
// Connect Discovery 1.0, section 4.3). Its errors contain both issuers, as displayURL
// permits, and no other value of the document.
func parseMetadata(b []byte, o Options) (*Metadata, error) {
	doc, err := decodeObject(b, maxBody)
	if err != nil {
		return nil, errors.New("is malformed: it is not one JSON object, so this is perhaps not the provider's address")
	}
	m := &Metadata{}
	if err := m.readIssuer(doc, o); err != nil {
		return nil, err
	}
	if err := m.readEndpoints(doc, o); err != nil {
		return nil, err
	}
	m.replaceEndpoints(o)
	m.ScopesSupported, _ = texts(doc["scopes_supported"])
	m.AuthMethods, _ = texts(doc["token_endpoint_auth_methods_supported"])
	m.SigningAlgs, _ = texts(doc["id_token_signing_alg_values_supported"])
	m.UserinfoAlgs, _ = texts(doc["userinfo_signing_alg_values_supported"])
	m.SendsIssuer, _ = doc["authorization_response_iss_parameter_supported"].(bool)
	return m, nil
}

// staticMetadata returns metadata made from the operator's endpoints only; nil: one of
// the required endpoints is missing, so that discovery is needed.
func staticMetadata(o Options) *Metadata {
	if o.AuthorizationURL == "" || o.TokenURL == "" || o.JWKSURL == "" {
		return nil
	}
	m := &Metadata{Issuer: o.Issuer, alternativeIssuers: quirkOf(o.Issuer).tokenIssuers}
	m.SigningAlgs = asymmetric(Algorithms())
	m.replaceEndpoints(o)
	return m
}

// replaceEndpoints replaces discovered endpoints by the operator's.
func (m *Metadata) replaceEndpoints(o Options) {
	m.AuthorizationEndpoint = either(o.AuthorizationURL, m.AuthorizationEndpoint)
	m.TokenEndpoint = either(o.TokenURL, m.TokenEndpoint)
	m.JWKSURI = either(o.JWKSURL, m.JWKSURI)
	m.UserinfoEndpoint = either(o.UserinfoURL, m.UserinfoEndpoint)
}

func either(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

func (m *Metadata) readIssuer(doc Claims, o Options) error {
	m.Issuer, _ = doc.text("issuer")
	if m.Issuer != o.Issuer {
		return m.readTenantIssuer(o)
	}
	m.alternativeIssuers = quirkOf(o.Issuer).tokenIssuers
	return nil
}

func (m *Metadata) readTenantIssuer(o Options) error {
	switch {
	case isTenantTemplate(m.Issuer, o.Issuer):
	case strings.TrimSuffix(m.Issuer, "/") == strings.TrimSuffix(o.Issuer, "/"):
		return fmt.Errorf("names an issuer that differs by a trailing slash: providerURL is %s, and the document says %s", displayURL(o.Issuer), displayURL(m.Issuer))
	default:
		return fmt.Errorf("names another issuer: providerURL is %s, and the document says %s", displayURL(o.Issuer), displayURL(m.Issuer))
	}
	if len(o.AllowedTenants) == 0 {
		return errors.New("names an issuer for many tenants: set allowedTenants, in which none is allowed now")
	}
	m.issuerHasTenant = true
	m.allowTenants(o.AllowedTenants)
	return nil
}

func (m *Metadata) allowTenants(tenants []string) {
	m.tenantsAllowed = tenants
	m.anyTenant = contains(tenants, "*")
}

// readEndpoints reads the endpoints. One that an option replaces is not required.
func (m *Metadata) readEndpoints(doc Claims, o Options) error {
	for _, e := range []struct {
		name     string
		field    *string
		required bool
	}{
		{"authorization_endpoint", &m.AuthorizationEndpoint, o.AuthorizationURL == ""},
		{"token_endpoint", &m.TokenEndpoint, o.TokenURL == ""},
		{"jwks_uri", &m.JWKSURI, o.JWKSURL == ""},
		{"userinfo_endpoint", &m.UserinfoEndpoint, false},
		{"revocation_endpoint", &m.RevocationEndpoint, false},
		{"end_session_endpoint", &m.EndSessionEndpoint, false},
	} {
		raw, isText := optionalText(doc, e.name)
		usable := isText && (raw == "" || isEndpoint(raw, o.AllowInsecureHTTP))
		switch {
		case e.required && raw == "":
			return fmt.Errorf("has no %s", e.name)
		case e.required && !usable:
			return fmt.Errorf("has an unusable %s", e.name)
		case !usable:
			m.Unusable = append(m.Unusable, e.name)
		default:
			*e.field = raw
		}
	}
	return nil
}

// isEndpoint reports whether raw is an absolute https URL, or an http URL if that is
// allowed, without credentials and fragment.
func isEndpoint(raw string, allowHTTP bool) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(raw) > 2048 {
		return false
	}
	return u.Scheme == "https" || (allowHTTP && u.Scheme == "http")
}

// isIssuer reports whether a token's iss is this provider (OpenID Connect Core 1.0,
// section 3.1.3.7, number 2).
func (m *Metadata) isIssuer(c Claims) bool {
	iss, ok := c.text("iss")
	switch {
	case !ok:
		return false
	case !m.issuerHasTenant:
		return iss == m.Issuer || contains(m.alternativeIssuers, iss)
	}
	tenant, _ := c.text("tid")
	return m.allowsTenant(tenant) && iss == tenantIssuer(m.Issuer, tenant)
}

// isKeyIssuer reports whether a key that is published with this issuer may sign the
// token with the claims c. It is always true unless one key set has the keys of many
// tenants. Then the key's issuer, with the token's tid in the place of the tenant,
// must be the token's iss
// (https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-signing-key-issuer).
func (m *Metadata) isKeyIssuer(issuer string, c Claims) bool {
	if !m.issuerHasTenant {
		return true
	}
	iss, _ := c.text("iss")
	tenant, _ := c.text("tid")
	return iss != "" && tenantIssuer(issuer, tenant) == iss
}

func (m *Metadata) allowsTenant(tenant string) bool {
	if !isTenant(tenant) {
		return false
	}
	for _, one := range m.tenantsAllowed {
		if strings.EqualFold(one, tenant) {
			return true
		}
	}
	return m.anyTenant
}

package oidc

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionLife is the time from iat to exp of a client assertion.
const assertionLife = time.Minute

// authenticated makes a POST of a form that authenticates the client (OpenID Connect
// Core 1.0, section 9).
func (p *Provider) authenticated(m *Metadata, where string, form url.Values) (call, error) {
	c := call{method: http.MethodPost, url: where, accept: "application/json"}
	method := p.authMethod(m)
	switch method {
	case "client_secret_basic":
		c.auth = basicAuth(p.options.ClientID, p.options.ClientSecret)
	case "client_secret_post":
		form.Set("client_id", p.options.ClientID)
		form.Set("client_secret", p.options.ClientSecret)
	case "none", "tls_client_auth", "self_signed_tls_client_auth":
		form.Set("client_id", p.options.ClientID)
	case "client_secret_jwt", "private_key_jwt":
		assertion, err := p.assertion(method, m.TokenEndpoint)
		if err != nil {
			return call{}, err
		}
		form.Set("client_id", p.options.ClientID)
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	default:
		return call{}, fmt.Errorf("oidc: clientAuthMethod is not a known method: %w", ErrRejected)
	}
	c.body = form.Encode()
	return c, nil
}

// authMethod returns Options.ClientAuthMethod. Without it, the credentials decide:
// an AssertionKey, no secret, or a secret with the simplest method that the provider
// offers.
func (p *Provider) authMethod(m *Metadata) string {
	switch {
	case p.options.ClientAuthMethod != "":
		return p.options.ClientAuthMethod
	case p.options.AssertionKey != nil:
		return "private_key_jwt"
	case p.options.ClientSecret == "":
		return "none"
	}
	for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"} {
		if contains(m.AuthMethods, method) {
			return method
		}
	}
	return "client_secret_basic"
}

// basicAuth encodes both parts as a form does (RFC 6749, section 2.3.1).
func basicAuth(id, secret string) string {
	pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// assertion makes a client assertion for one request (RFC 7523, section 3).
func (p *Provider) assertion(method, audience string) (string, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", fmt.Errorf("oidc: client assertion: %w", err)
	}
	now := p.now()
	payload, err := json.Marshal(map[string]any{
		"iss": p.options.ClientID, "sub": p.options.ClientID, "aud": audience,
		"jti": hex.EncodeToString(id), "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("oidc: client assertion: %w", err)
	}
	if method == "private_key_jwt" {
		return p.options.AssertionKey.sign(payload)
	}
	signed := encodeBase64([]byte(`{"alg":"`+assertionMAC+`","typ":"JWT"}`)) + "." + encodeBase64(payload)
	mac, _ := findAlgorithm(assertionMAC)
	return signed + "." + encodeBase64(mac.mac(p.options.ClientSecret, signed)), nil
}

func encodeBase64(b []byte) string {
	return base64.RawURLEncoding.EncodeToString(b)
}

package oidctest

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"strings"
	"time"
)

func (p *Provider) newAccessToken(g *grant) string {
	if !p.options.JWTAccessTokens {
		return randomText(24)
	}
	now := p.now()
	return p.SigningKey().SignClaims(map[string]any{
		"iss": p.issuer, "sub": g.user.Sub, "aud": g.client, "client_id": g.client, "scope": g.scope,
		"iat": now.Unix(), "exp": now.Add(p.options.AccessLifetime).Unix(), "jti": randomText(8),
	}, func(h map[string]any) { h["typ"] = "at+jwt" })
}

func (p *Provider) newIDToken(g *grant, b Behaviour, access string, refreshed bool) string {
	key := b.SignWith
	if key == nil {
		key = p.SigningKey()
	}
	claims := map[string]any{"sub": g.user.Sub}
	if !b.ClaimsOnlyInUserInfo {
		claims = p.latest(g.user).claims()
	}
	for name, v := range p.protocolClaims(g, key, access) {
		claims[name] = v
	}
	if g.nonce != "" && (!refreshed || b.RefreshNonce) {
		claims["nonce"] = g.nonce
	}
	if b.IDTokenClaims != nil {
		b.IDTokenClaims(claims)
	}
	if refreshed && b.RefreshClaims != nil {
		b.RefreshClaims(claims)
	}
	raw := key.SignClaims(claims, b.IDTokenHeader)
	if b.IDToken != nil {
		raw = b.IDToken(raw)
	}
	return raw
}

func (p *Provider) protocolClaims(g *grant, key *Key, access string) map[string]any {
	now := p.now()
	claims := map[string]any{
		"iss": p.issuer, "aud": g.client,
		"iat": now.Unix(), "exp": now.Add(p.options.IDTokenLifetime).Unix(),
		"auth_time": g.authTime.Unix(), "at_hash": halfHash(key.Alg, access),
	}
	if g.sid != "" {
		claims["sid"] = g.sid
	}
	return claims
}

// IDToken signs an ID token for a client with the provider's key. edit may change every
// claim; nil: none is changed.
func (p *Provider) IDToken(client, sub, nonce string, edit func(claims map[string]any)) string {
	now := p.now()
	claims := map[string]any{
		"iss": p.issuer, "aud": client, "sub": sub, "nonce": nonce,
		"iat": now.Unix(), "exp": now.Add(p.options.IDTokenLifetime).Unix(),
	}
	if edit != nil {
		edit(claims)
	}
	return p.SigningKey().SignClaims(claims, nil)
}

// checkAssertion verifies a client assertion (RFC 7523): private_key_jwt if there is
// Options.ClientKey, otherwise client_secret_jwt.
func (p *Provider) checkAssertion(client Client, form url.Values) bool {
	parts := strings.Split(form.Get("client_assertion"), ".")
	if len(parts) != 3 || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return false
	}
	claims := map[string]any{}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if !p.signedBy(client, parts[0]+"."+parts[1], parts[2]) || json.Unmarshal(payload, &claims) != nil {
		return false
	}
	exp, _ := claims["exp"].(float64)
	left := time.Unix(int64(exp), 0).Sub(p.now())
	return claims["iss"] == client.ID && claims["sub"] == client.ID && claims["aud"] == p.Endpoint(Token) &&
		left > 0 && left <= 5*time.Minute
}

// signedBy reports whether the client signed text.
func (p *Provider) signedBy(client Client, text, signature string) bool {
	if key := p.options.ClientKey; key != nil {
		b, err := base64.RawURLEncoding.DecodeString(signature)
		if err != nil || len(b) != 64 {
			return false
		}
		sum := sha256.Sum256([]byte(text))
		return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(b[:32]), new(big.Int).SetBytes(b[32:]))
	}
	mac := hmac.New(sha256.New, []byte(client.Secret))
	mac.Write([]byte(text))
	return encode(mac.Sum(nil)) == signature
}

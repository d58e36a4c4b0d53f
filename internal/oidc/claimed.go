package oidc

import (
	"bytes"
	"encoding/json"
	"strings"
)

// claimedHeader and claimedPayload are the members that select the key of a token
// and name its issuer and its audience.
type claimedHeader struct {
	Alg string  `json:"alg"`
	Typ string  `json:"typ"`
	Kid *string `json:"kid"`
}

type claimedPayload struct {
	Issuer          json.RawMessage `json:"iss"`
	Tenant          json.RawMessage `json:"tid"`
	Audience        json.RawMessage `json:"aud"`
	AuthorizedParty json.RawMessage `json:"azp"`
}

// maxClaim bounds a claim of an unverified token, in bytes; maxElements bounds the
// length of a list of strings in it.
const (
	maxClaim    = 2 << 10
	maxElements = 16
)

// claimedJWT reads an unverified token: only the members that are needed to refuse
// it or to verify its signature. One call of the standard library reads each part,
// because an interpreted walk over a payload of the sender's choice costs
// milliseconds. This reading is not strict. After the signature is verified, parseJWT
// reads the token again, and matches compares both readings.
func claimedJWT(raw string) (*jwt, error) {
	parts, err := splitJWT(raw)
	if err != nil {
		return nil, err
	}
	header, err1 := decodeBase64(parts[0])
	payload, err2 := decodeBase64(parts[1])
	signature, err3 := decodeBase64(parts[2])
	if err1 != nil || err2 != nil || err3 != nil || len(signature) == 0 || len(header) > maxHeader {
		return nil, errNotJWT
	}
	var h claimedHeader
	var c claimedPayload
	if !isObject(header) || !isObject(payload) || json.Unmarshal(payload, &c) != nil {
		return nil, errNotJWT
	}
	if json.Unmarshal(header, &h) != nil {
		return nil, errHeader
	}
	t := &jwt{alg: h.Alg, signature: signature, signed: raw[:len(raw)-len(parts[2])-1]}
	t.typ = strings.TrimPrefix(strings.ToLower(h.Typ), "application/")
	if h.Kid != nil {
		t.hasKid = true
		t.kid = *h.Kid
	}
	t.claims = Claims{}
	t.claims.put("iss", c.Issuer)
	t.claims.put("tid", c.Tenant)
	t.claims.put("aud", c.Audience)
	t.claims.put("azp", c.AuthorizedParty)
	return t, nil
}

// VerifiedClaims returns the claims of an ID token that VerifyIDToken accepted before,
// perhaps under other options. It verifies nothing. parseJWT accepted the token then, so
// that one call of the standard library reads it in the same way. For any other text the
// result may be empty.
func VerifiedClaims(idToken string) Claims {
	parts, err := splitJWT(idToken)
	if err != nil {
		return Claims{}
	}
	payload, err := decodeBase64(parts[1])
	if err != nil || !isObject(payload) || !json.Valid(payload) {
		return Claims{}
	}
	claims := Claims{}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if d.Decode(&claims) != nil {
		return Claims{}
	}
	return claims
}

// isObject reports whether b, if it is JSON, is an object.
func isObject(b []byte) bool {
	text := strings.TrimLeft(string(b), " \t\r\n")
	return strings.HasPrefix(text, "{")
}

// put adds a claim to c unless it is missing, null or too long.
func (c Claims) put(name string, raw json.RawMessage) {
	if len(raw) == 0 || len(raw) > maxClaim || strings.Count(string(raw), ",") >= maxElements {
		return
	}
	var v any
	if json.Unmarshal(raw, &v) == nil && v != nil {
		c[name] = v
	}
}

// matches reports whether t, read strictly, is the token that was verified.
func (t *jwt) matches(verified *jwt) bool {
	return t.alg == verified.alg && t.kid == verified.kid && t.hasKid == verified.hasKid && t.typ == verified.typ &&
		equalIn(t.claims, verified.claims, "iss") && equalIn(t.claims, verified.claims, "tid")
}

func equalIn(a, b Claims, name string) bool {
	one, _ := a.text(name)
	other, _ := b.text(name)
	return one == other
}

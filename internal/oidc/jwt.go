package oidc

import (
	"errors"
	"strings"
)

const (
	maxToken  = 256 << 10
	maxHeader = 8 << 10
)

var (
	errNotJWT    = errors.New("not a signed JWT")
	errEncrypted = errors.New("encrypted tokens are not supported")
	errHeader    = errors.New("unsupported or malformed header")
)

// A jwt is a parsed token. Nothing in it is verified.
type jwt struct {
	alg       string // as in the header, which may name an unknown one
	kid       string
	hasKid    bool
	typ       string // in lower case, without "application/"
	claims    Claims
	signed    string
	signature []byte
}

// parseJWT reads the compact serialisation of a JWS (RFC 7515, section 7.1). Its
// header and payload must be JSON objects. Extensions are refused, because none is
// supported. Keys in the header are ignored.
func parseJWT(raw string) (*jwt, error) {
	parts, err := splitJWT(raw)
	if err != nil {
		return nil, err
	}
	header, err1 := decodePart(parts[0], maxHeader)
	claims, err2 := decodePart(parts[1], maxToken)
	signature, err3 := decodeBase64(parts[2])
	if err1 != nil || err2 != nil || err3 != nil || len(signature) == 0 {
		return nil, errNotJWT
	}
	t := &jwt{claims: claims, signature: signature, signed: raw[:len(raw)-len(parts[2])-1]}
	if !t.readHeader(header) {
		return nil, errHeader
	}
	return t, nil
}

func splitJWT(raw string) ([]string, error) {
	if len(raw) > maxToken {
		return nil, errNotJWT
	}
	switch strings.Count(raw, ".") {
	case 2:
		return strings.Split(raw, "."), nil
	case 4:
		return nil, errEncrypted
	}
	return nil, errNotJWT
}

func decodePart(part string, limit int) (Claims, error) {
	if len(part) > limit {
		return nil, errMalformed
	}
	b, err := decodeBase64(part)
	if err != nil {
		return nil, err
	}
	return decodeObject(b, limit)
}

// readHeader reads the header parameters of RFC 7515, section 4.1, that matter here.
// It refuses crit, and b64 (RFC 7797), zip and enc, which would change the signed
// bytes.
func (t *jwt) readHeader(h Claims) bool {
	var okAlg, okTyp, okKid bool
	t.alg, okAlg = h.text("alg")
	t.typ, okTyp = optionalText(h, "typ")
	t.kid, okKid = optionalText(h, "kid")
	t.hasKid = h.has("kid")
	t.typ = strings.TrimPrefix(strings.ToLower(t.typ), "application/")
	return okAlg && okTyp && okKid && len(t.kid) <= maxKeyID &&
		!h.mentions("crit") && !h.mentions("b64") && !h.mentions("zip") && !h.mentions("enc")
}

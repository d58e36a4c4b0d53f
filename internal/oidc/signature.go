package oidc

import "context"

// algorithmOf returns the token's algorithm and reports whether it is allowed (OpenID
// Connect Core 1.0, section 3.1.3.7, number 7; RFC 8725, section 3.1). Allowed are
// Options.SigningAlgs; without them, the offered ones that need no shared secret;
// without those, RS256.
func (p *Provider) algorithmOf(t *jwt, offered []string) (algorithm, bool) {
	allowed := p.options.SigningAlgs
	if len(allowed) == 0 {
		allowed = asymmetric(offered)
	}
	if len(allowed) == 0 {
		allowed = []string{"RS256"}
	}
	a, known := findAlgorithm(t.alg)
	return a, known && contains(allowed, t.alg)
}

// verifySignature tries the keys that fit the token. If none verifies it, the keys are
// fetched again at the cost of c, because the provider may have published new ones.
// ErrInvalidToken: no key verifies the token. ErrUnavailable: the keys could not be
// fetched, so that the token may be valid.
func (p *Provider) verifySignature(ctx context.Context, m *Metadata, t *jwt, a algorithm, c *credit) error {
	if a.family == "HS" {
		if !a.verifiesMAC(p.options.ClientSecret, t.signed, t.signature) {
			return invalid("the signature does not verify")
		}
		return nil
	}
	ring, err := p.keys.current(ctx, m.JWKSURI)
	if err != nil {
		return err
	}
	verified, foreign := t.verifiedBy(ring.keys, a, m)
	if !verified && !foreign {
		ring, err = p.keys.newer(ctx, ring, c)
		if err != nil {
			return err
		}
		verified, foreign = t.verifiedBy(ring.keys, a, m)
	}
	switch {
	case verified:
		return nil
	case foreign:
		return invalid("the key that verifies the signature is not published for the token's tenant")
	}
	return invalid("no key of the provider verifies the signature: check providerURL, and jwksURL if it is set")
}

// verifiedBy tries each key that fits: those with the token's kid and those without a
// kid; for a token without a kid, all. The first result reports that a key verifies
// the signature and may sign for the token's issuer. The second reports that keys
// verify the signature, but none of them may sign for the token's issuer.
func (t *jwt) verifiedBy(keys []*key, a algorithm, m *Metadata) (bool, bool) {
	foreign := false
	for _, k := range keys {
		if t.hasKid && k.id != "" && k.id != t.kid {
			continue
		}
		if !k.fits(a) || !a.verifies(k, t.signed, t.signature) {
			continue
		}
		if m.isKeyIssuer(k.issuer, t.claims) {
			return true, false
		}
		foreign = true
	}
	return false, foreign
}

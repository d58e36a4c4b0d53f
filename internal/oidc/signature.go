package oidc

import "context"

// algorithmOf is the token's algorithm, if it may sign here: one that was named,
// or that the provider offers and needs no shared secret (OpenID Connect Core
// 1.0, section 3.1.3.7, number 7; RFC 8725, section 3.1).
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

// verifySignature tries the keys that may have signed. Keys that the provider
// has published since count too: they are fetched anew, throttled, when none
// has. A token whose key could not be looked for is not invalid: ErrUnavailable.
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
	return invalid("no key of the provider verifies the signature")
}

// verifiedBy tries each key that fits: those of the token's kid and those that
// have none; without a kid, all. The second result reports that a key verifies
// the signature, and none of those that do may sign for the token's issuer.
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

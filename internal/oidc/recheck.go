package oidc

import (
	"fmt"
	"strings"
)

var (
	errTenant   = fmt.Errorf("the tenant is not among allowedTenants: %w", ErrInvalidToken)
	errAudience = fmt.Errorf("the ID token has an audience that is not among trustedAudiences: %w", ErrInvalidToken)
)

// Recheck does the checks of an ID token that depend on what the operator allows,
// for the claims of one that was verified before, maybe under other options. It
// asks nobody. ErrInvalidToken: today the token would be refused, for the reason
// that the error names.
func (p *Provider) Recheck(c Claims) error {
	switch {
	case !p.admitsIssuer(c):
		return errTenant
	case !p.isAudience(c):
		return errAudience
	}
	return nil
}

// admitsIssuer is Metadata.isIssuer, as far as it can be told before there is
// metadata.
func (p *Provider) admitsIssuer(c Claims) bool {
	if m, _, _ := p.discovery.state(); m != nil {
		return m.isIssuer(c)
	}
	issuer := p.options.Issuer
	iss, _ := c.text("iss")
	if iss == issuer || contains(quirkOf(issuer).tokenIssuers, iss) {
		return true
	}
	tenant, _ := c.text("tid")
	m := &Metadata{Issuer: strings.Replace(iss, tenant, tenantPlace, 1), issuerHasTenant: true}
	m.allowTenants(p.options.AllowedTenants)
	return isTenantTemplate(m.Issuer, issuer) && m.isIssuer(c)
}

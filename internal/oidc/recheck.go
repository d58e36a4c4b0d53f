package oidc

import (
	"fmt"
	"strings"
)

var (
	errTenant   = fmt.Errorf("the tenant is not among allowedTenants: %w", ErrInvalidToken)
	errAudience = fmt.Errorf("the ID token has an audience that is not among trustedAudiences: %w", ErrInvalidToken)
)

// Recheck repeats the checks of issuer and audience for the claims of an ID token that
// was verified before, perhaps under other options. It sends no request.
// ErrInvalidToken: under the present options the token would be refused; the error
// names the option.
func (p *Provider) Recheck(c Claims) error {
	switch {
	case !p.admitsIssuer(c):
		return errTenant
	case !p.isAudience(c):
		return errAudience
	}
	return nil
}

// admitsIssuer is Metadata.isIssuer. Without metadata it decides by the options and
// by the shape of the issuer.
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

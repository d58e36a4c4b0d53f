package oidctest

import (
	"fmt"
	"net/http"
	"net/url"
)

// Visit opens an authorization request, signs a user in, and returns the URL to which
// the provider redirects. user is a subject or an e-mail address. If it is empty, the
// login_hint of the request or Options.AutoLogin decides.
func (p *Provider) Visit(authURL, user string) (*url.URL, error) {
	u, err := url.Parse(authURL)
	if err != nil {
		return nil, fmt.Errorf("oidctest: visit: %w", err)
	}
	if user != "" {
		q := u.Query()
		q.Set("user", user)
		u.RawQuery = q.Encode()
	}
	resp, err := p.Client().Get(u.String())
	if err != nil {
		return nil, fmt.Errorf("oidctest: visit: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		return nil, fmt.Errorf("oidctest: visit: status %d", resp.StatusCode)
	}
	return resp.Location()
}

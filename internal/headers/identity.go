package headers

import (
	"errors"
	"net/http"
	"strings"
)

// identityNames and identityFamilies are headers, and beginnings of headers, by which
// other proxies tell backends who is asking: oauth2-proxy, Authelia, mod_auth_openidc. A
// backend that came from one of them believes them still. They are in the form that
// spelling gives.
var (
	identityNames = [...]string{"x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username",
		"x-forwarded-access-token", "remote-user", "remote-name", "remote-email", "remote-groups"}
	identityFamilies = [...]string{"x-auth-request-", "oidc-claim-"}
)

// patterns match our headers, those of names and those of other proxies, in every
// spelling.
func patterns(names []string) []string {
	list := []string{anySpelling(settingsOfHTTP2)}
	for _, n := range standardNames {
		list = append(list, anySpelling(spelling(n)))
	}
	for _, n := range names {
		list = append(list, anySpelling(spelling(n)))
	}
	for _, n := range identityNames {
		list = append(list, anySpelling(n))
	}
	for _, n := range identityFamilies {
		list = append(list, anySpelling(n)+"[^,\n]+")
	}
	return list
}

// CheckKept reports why a request's header cannot be kept: because the middleware
// sets it, as a standard header or one of names, or because it is not removed anyway.
func CheckKept(name string, names []string) error {
	if name == "" || len(name) > 100 || strings.Trim(name, token) != "" {
		return errors.New("is not a header's name")
	}
	s := spelling(name)
	for _, n := range standardNames {
		if s == spelling(n) {
			return errors.New("cannot be kept: this middleware sets it")
		}
	}
	for _, n := range names {
		if s == spelling(n) {
			return errors.New("cannot be kept: the option headers sets it")
		}
	}
	for _, n := range identityNames {
		if s == n {
			return nil
		}
	}
	for _, n := range identityFamilies {
		if strings.HasPrefix(s, n) && s != n {
			return nil
		}
	}
	return errors.New("is not removed from requests, so it need not be kept")
}

// keep adds to known the names of kept headers, each in the one spelling that servers
// make of it.
func keep(known map[string]bool, kept []string) {
	for _, n := range kept {
		known[http.CanonicalHeaderKey(n)] = true
	}
}

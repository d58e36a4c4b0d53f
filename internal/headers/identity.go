package headers

import (
	"errors"
	"net/http"
	"strings"
)

// identityNames and identityFamilies are headers, and beginnings of headers, by which
// other proxies name the user to backends: oauth2-proxy, Authelia, mod_auth_openidc. A
// backend that was behind one of them may still trust them. They are in the form of
// spelling.
var (
	identityNames = [...]string{"x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username",
		"x-forwarded-access-token", "remote-user", "remote-name", "remote-email", "remote-groups"}
	identityFamilies = [...]string{"x-auth-request-", "oidc-claim-"}
)

// patterns match the middleware's headers, those of names and those of other proxies,
// in every spelling.
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

// CheckKept reports why a request's header cannot be kept. The middleware sets it, as a
// standard header or one of names, or does not remove it anyway.
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

// keep adds the names of kept headers to known, in the canonical spelling of servers.
func keep(known map[string]bool, kept []string) {
	for _, n := range kept {
		known[http.CanonicalHeaderKey(n)] = true
	}
}

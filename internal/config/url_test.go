package config

import "testing"

// With an absolute callbackURL, a URL of the site means its path.
func TestURLsOfTheSite(t *testing.T) {
	const site = "https://app.example.com/cb"
	runProblems(t, []problemRow{
		{"logout as a URL", o{"callbackURL": site, "logoutURL": "https://APP.example.com:443/out"}, ""},
		{"logout as a URL, callback as a path", o{"logoutURL": "https://app.example.com/out"}, "logoutURL: must be a path such as /oauth2/logout: callbackURL is a path"},
		{"logout of another host", o{"callbackURL": site, "logoutURL": "https://id.example.com/out"}, "logoutURL: must have the scheme and the host of callbackURL, or be a path"},
		{"logout of another port", o{"callbackURL": site, "logoutURL": "https://app.example.com:8443/out"}, "logoutURL: must have the scheme and the host of callbackURL"},
		{"logout of another scheme", o{"callbackURL": site, "logoutURL": "http://app.example.com/out"}, "logoutURL: must have the scheme and the host of callbackURL"},
		{"logout without a path", o{"callbackURL": site, "logoutURL": "https://app.example.com/"}, "logoutURL: must have a path"},
		{"logout with a query", o{"callbackURL": site, "logoutURL": "https://app.example.com/out?x"}, "logoutURL: must not have a query"},
		{"logout escaped", o{"callbackURL": site, "logoutURL": "https://app.example.com/o%75t"}, "logoutURL: must be a plain path"},
		{"logout is the callback", o{"callbackURL": site, "logoutURL": site}, "logoutURL: is the same path as callbackURL"},
		{"logout without a slash", o{"logoutURL": "bye"}, "logoutURL: must begin with /: /bye"},
		{"back channel as a URL", o{"callbackURL": site, "enableBackchannelLogout": true, "backchannelLogoutURL": "https://app.example.com/back"}, ""},
		{"front channel of another host", o{"callbackURL": site, "enableFrontchannelLogout": true, "frontchannelLogoutURL": "https://x.example.com/front"}, "frontchannelLogoutURL: must have the scheme and the host"},
	}, Environment{})
	c := minimal()
	c.CallbackURL = site
	c.LogoutURL = "https://app.example.com/out"
	s, err := Parse(c, Environment{})
	if err != nil || s.Logout.Path != "/out" || s.SignIn.CallbackPath != "/cb" {
		t.Errorf("%v", err)
	}
	c.CallbackURL = "https://*.example.com/cb"
	if _, err := Parse(c, Environment{}); err == nil || err.Error() != "config: callbackURL: must name one host: a wildcard is not known here" {
		t.Errorf("logoutURL is blamed for callbackURL: %v", err)
	}
}

// A host is that of one server, in every option that takes a URL.
func TestHosts(t *testing.T) {
	for host, want := range map[string]string{
		"*.example":         "must name one host: a wildcard is not known here",
		"*":                 "must name one host",
		"app.*.com":         "must name one host",
		"a,b.example.com":   "has a character in its host",
		"<host>":            "has a character in its host",
		"$HOST":             "has a character in its host",
		"(app|www).example": "",
		"app..example.com":  "has an empty part in its host name",
		".example.com":      "has an empty part in its host name",
		"app.example:99999": "has a port that is none of 1 to 65535",
		"app.example:0":     "has a port that is none of 1 to 65535",
	} {
		for _, option := range []string{"callbackURL", "postLogoutRedirectURI", "providerURL", "tokenURL", "oidcEndSessionURL"} {
			c := minimal()
			set(t, c, option, "https://"+host+"/cb")
			wantProblem(t, c, Environment{}, option+": "+want)
		}
	}
	for _, host := range []string{"app.example.com", "app.example.com.", "[2001:db8::1]", "[::1]:8443", "10.0.0.1:443", "id_1.internal", "keycloak:8443", "xn--bcher-kva.example", "bücher.example"} {
		c := minimal()
		c.ProviderURL = "https://" + host + "/realm"
		if _, err := Parse(c, Environment{}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

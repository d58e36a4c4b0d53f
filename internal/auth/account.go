package auth

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

const (
	// accountParameter is the parameter of our sign-out that makes it lead to a sign-in
	// with another account. Its value is where that sign-in leads.
	accountParameter = "another"
	// maxQuery bounds a query that is parsed, in bytes: the longest target of a sign-in
	// has 6,000 in one.
	maxQuery = 8 << 10
)

// anotherAccount is where a user signs out to come back to target with another
// account.
func (m *Middleware) anotherAccount(target string) string {
	return m.o.LogoutPath + "?" + url.Values{accountParameter: {policy.Compact(target)}}.Encode()
}

// accountTarget returns where a sign-in with another account leads, and whether the
// sign-out r is followed by one. A value that is no return target counts as /.
func (m *Middleware) accountTarget(r *http.Request) (string, bool) {
	value, ok := onlyParameter(r, accountParameter)
	if !ok {
		return "", false
	}
	target, ok := policy.ReturnTarget(value, policy.MaxSignInTarget)
	if !ok {
		m.logNoTarget(r, len(value))
	}
	if !ok || m.own(target) {
		target = "/"
	}
	return m.withOrigin(r, target), true
}

// onlyParameter returns the value of a parameter that a query has once.
func onlyParameter(r *http.Request, name string) (string, bool) {
	raw := r.URL.RawQuery
	if len(raw) > maxQuery || !strings.Contains(raw, name+"=") || strings.Count(raw, "&") > maxParameters {
		return "", false
	}
	q, err := url.ParseQuery(raw)
	if err != nil || len(q[name]) != 1 {
		return "", false
	}
	return q.Get(name), true
}

// before is the page of this site that a user came from; else the start page; empty if
// that is the page that r asks for.
func (m *Middleware) before(r *http.Request) string {
	wanted, _ := m.wanted(r)
	from := r.Header.Get("Referer")
	if from != "" && len(from) <= maxReferer {
		u, err := url.Parse(from)
		if err == nil && strings.EqualFold(u.Host, r.Host) {
			target, ok := policy.ReturnTarget(u.RequestURI(), policy.MaxSignInTarget)
			if ok && !m.own(target) && target != wanted {
				return target
			}
		}
	}
	if wanted == "/" {
		return ""
	}
	return "/"
}

// unseen matches what a name may have that no reader sees, or that changes the order
// of what they read; and a name's first 100 characters.
var (
	unseen    = regexp.MustCompile(`[\p{C}\p{Zl}\p{Zp}]+`)
	firstPart = regexp.MustCompile(`^.{0,100}`)
)

// userName is what a page calls the user of a session by.
func (m *Middleware) userName(claims oidc.Claims) string {
	name := m.o.Rules.User(claims)
	for _, claim := range []string{m.o.Rules.UserClaim, "email", "preferred_username", "name"} {
		if name == "" {
			name = claims.Text(claim)
		}
	}
	return firstPart.FindString(unseen.ReplaceAllString(strings.ToValidUTF8(name, ""), ""))
}

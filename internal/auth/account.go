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
	// accountParameter is the parameter of a sign-out that a sign-in with another
	// account follows. Its value is the return target of that sign-in.
	accountParameter = "another"
	// maxQuery bounds a query that is parsed, in bytes. The longest target of a sign-in
	// takes 6,000 bytes in one.
	maxQuery = 8 << 10
)

// anotherAccount returns the address of a sign-out after which the user signs in with
// another account and returns to target.
func (m *Middleware) anotherAccount(target string) string {
	return m.o.LogoutPath + "?" + url.Values{accountParameter: {policy.Compact(target)}}.Encode()
}

// accountTarget returns the target of a sign-in with another account, and whether the
// sign-out r is followed by one. A value that is no return target becomes /.
func (m *Middleware) accountTarget(r *http.Request) (string, bool) {
	return m.targetIn(r, accountParameter)
}

// targetIn returns the return target in a parameter of r, and whether r has one.
func (m *Middleware) targetIn(r *http.Request, parameter string) (string, bool) {
	value, ok := onlyParameter(r, parameter)
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

// before returns the page of this site from which a user came, or else the start page.
// It returns "" if that is the page that r requests.
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

// unseen matches invisible characters and those that change the reading order.
// firstPart matches the first 100 characters of a name.
var (
	unseen    = regexp.MustCompile(`[\p{C}\p{Zl}\p{Zp}]+`)
	firstPart = regexp.MustCompile(`^.{0,100}`)
)

// userName returns the name of a session's user for a page.
func (m *Middleware) userName(claims oidc.Claims) string {
	name := m.o.Rules.User(claims)
	for _, claim := range []string{m.o.Rules.UserClaim, "email", "preferred_username", "name"} {
		if name == "" {
			name = claims.Text(claim)
		}
	}
	return firstPart.FindString(unseen.ReplaceAllString(strings.ToValidUTF8(name, ""), ""))
}

package oidctest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const cookieName = "oidctest"

// A grant is the permission of a user for a client, with its code and its tokens.
type grant struct {
	client      string
	user        User
	redirectURI string
	nonce       string
	scope       string
	challenge   string
	sid         string
	consent     bool
	authTime    time.Time
	expiry      time.Time // of the code
	redeemed    bool
	revoked     bool
}

// A session is the state of a browser that is signed in at the provider.
type session struct {
	user     User
	sid      string
	authTime time.Time
	clients  []string // ids of clients with a sign-in from this session
}

func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	client, problem := p.checkAuthorize(r)
	if problem != "" {
		page(w, http.StatusBadRequest, pageData{Title: "This sign-in cannot continue", Text: problem})
		return
	}
	if e := p.authorizeError(r, client); e != "" {
		p.respond(w, r, url.Values{"error": {e}})
		return
	}
	s := p.signedIn(w, r)
	if s == nil && hasPrompt(r, "none") {
		p.respond(w, r, url.Values{"error": {"login_required"}})
		return
	}
	if s == nil {
		page(w, http.StatusOK, pageData{
			Title: "Who are you?", Text: "to continue to " + hostOf(r.Form.Get("redirect_uri")),
			Users: p.options.Users, Query: hidden(r.URL.Query(), "login_hint", "user"),
		})
		return
	}
	p.respond(w, r, url.Values{"code": {p.newCode(r, client, s)}})
}

// checkAuthorize returns the client of a request, and a problem that must not be
// returned by a redirect (RFC 6749, section 4.1.2.1); empty: there is none.
func (p *Provider) checkAuthorize(r *http.Request) (Client, string) {
	client, ok := p.clients[r.Form.Get("client_id")]
	if !ok {
		return client, "The client is not known at this provider."
	}
	for name, values := range r.Form {
		if len(values) > 1 {
			return client, fmt.Sprintf("The parameter %q is repeated.", name)
		}
	}
	if target := r.Form.Get("redirect_uri"); target == "" || !allowed(client.RedirectURIs, target) {
		return client, "The redirect_uri is not registered for this client."
	}
	return client, ""
}

func (p *Provider) authorizeError(r *http.Request, client Client) string {
	b := p.current()
	f := r.Form
	switch {
	case b.AuthorizeError != "":
		return b.AuthorizeError
	case f.Get("response_type") != "code":
		return "unsupported_response_type"
	case !hasWord(f.Get("scope"), "openid"):
		return "invalid_scope"
	case f.Get("code_challenge") != "" && f.Get("code_challenge_method") != "S256":
		return "invalid_request"
	case f.Get("code_challenge") == "" && (b.RequirePKCE || client.Secret == ""):
		return "invalid_request"
	}
	return ""
}

// signedIn returns the session of this browser, or a new one for the user that a
// parameter or Options.AutoLogin names; nil: there is neither.
func (p *Provider) signedIn(w http.ResponseWriter, r *http.Request) *session {
	if c, err := r.Cookie(cookieName); err == nil && !hasPrompt(r, "login") && r.Form.Get("user") == "" {
		p.mu.Lock()
		s := p.sessions[c.Value]
		p.mu.Unlock()
		if s != nil {
			return s
		}
	}
	for _, name := range []string{r.Form.Get("user"), r.Form.Get("login_hint"), p.options.AutoLogin} {
		user, ok := p.user(name)
		if !ok {
			continue
		}
		s := &session{user: user, sid: randomText(16), authTime: p.now()}
		id := randomText(16)
		p.mu.Lock()
		p.sessions[id] = s
		p.mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: p.prefix + "/op", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		return s
	}
	return nil
}

func (p *Provider) newCode(r *http.Request, client Client, s *session) string {
	code := randomText(16)
	p.mu.Lock()
	defer p.mu.Unlock()
	s.clients = with(s.clients, client.ID)
	p.grants[code] = &grant{
		client: client.ID, user: s.user, redirectURI: r.Form.Get("redirect_uri"),
		nonce: r.Form.Get("nonce"), scope: r.Form.Get("scope"), challenge: r.Form.Get("code_challenge"),
		sid: p.behaviour.sessionID(s), consent: hasPrompt(r, "consent"), authTime: s.authTime, expiry: p.now().Add(time.Minute),
	}
	return code
}

// respond redirects to the client, with state and iss (RFC 9207).
func (p *Provider) respond(w http.ResponseWriter, r *http.Request, v url.Values) {
	if state := r.Form.Get("state"); state != "" {
		v.Set("state", state)
	}
	v.Set("iss", p.issuer)
	if edit := p.current().AuthorizeResponse; edit != nil {
		edit(v)
	}
	target := r.Form.Get("redirect_uri")
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", target+sep+v.Encode())
	w.WriteHeader(http.StatusFound)
}

// hidden returns the parameters for the hidden fields of a form.
func hidden(q url.Values, without ...string) url.Values {
	for _, name := range without {
		q.Del(name)
	}
	return q
}

func allowed(list []string, target string) bool {
	for _, one := range list {
		if one == target {
			return true
		}
	}
	return len(list) == 0
}

func hasPrompt(r *http.Request, word string) bool { return hasWord(r.Form.Get("prompt"), word) }

func hasWord(list, word string) bool {
	for _, one := range strings.Fields(list) {
		if one == word {
			return true
		}
	}
	return false
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

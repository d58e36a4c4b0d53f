package oidctest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"
)

// Behaviour has the deviations of a provider from the specifications. Functions edit a
// correct response; bodies replace it. The zero value has no deviation.
type Behaviour struct {
	Faults map[string]Fault // by endpoint

	Discovery     func(doc map[string]any)
	DiscoveryBody []byte
	JWKS          func(keys []map[string]any) []map[string]any
	JWKSBody      []byte

	AuthorizeError    string           // OAuth error to return instead of a code
	AuthorizeResponse func(url.Values) // edits the parameters of the response: code, state, iss

	SignWith      *Key // signs ID tokens; nil: the published key
	IDTokenHeader func(header map[string]any)
	IDTokenClaims func(claims map[string]any)
	IDToken       func(raw string) string // replaces the signed token

	TokenError    string // OAuth error to return with status 400
	TokenResponse func(response map[string]any)
	TokenBody     []byte
	RefreshTokens RefreshPolicy
	NoRotation    bool // refresh tokens stay valid after use

	// These apply to refresh requests only, after the fields above.
	RefreshError    string // OAuth error to return with status 400
	RefreshNonce    bool   // the ID token has the nonce of the sign-in
	RefreshClaims   func(claims map[string]any)
	RefreshResponse func(response map[string]any)

	SessionIDs     SessionIDPolicy
	LogoutToken    func(header, claims map[string]any) // edits logout tokens that the provider sends by itself
	LogoutSignWith *Key                                // signs logout tokens; nil: the published key

	UserInfo       func(claims map[string]any)
	UserInfoSigned bool
	UserInfoBody   []byte
	UserInfoType   string // Content-Type; empty: the correct one

	ClaimsOnlyInUserInfo bool // ID tokens have no claim about the user but sub
	RequirePKCE          bool
	ConfirmLogout        bool // end_session shows a confirmation first
}

// A RefreshPolicy decides when a refresh token is issued.
type RefreshPolicy int

const (
	RefreshAlways  RefreshPolicy = iota
	RefreshNever                 // like providers without the grant
	RefreshOffline               // with the scope offline_access
	RefreshConsent               // with prompt=consent, like Google
)

// A SessionIDPolicy decides on the claim sid.
type SessionIDPolicy int

const (
	SessionIDs         SessionIDPolicy = iota // a different sid for each session at the provider
	NoSessionIDs                              // no sid
	PersonalSessionIDs                        // one sid for all sessions of a user
)

// A Fault replaces or disturbs responses of one endpoint. The zero value does neither.
type Fault struct {
	Times    int             // number of requests that it applies to; zero: all
	Delay    time.Duration   // before anything else
	Hold     <-chan struct{} // the request is not handled before this is closed
	HoldDone <-chan struct{} // the request is handled, and its response waits until this is closed
	Drop     bool            // the connection is closed before the request is handled
	DropDone bool            // the connection is closed after the request was handled: the response is lost
	Redirect string          // target of a redirect with status 307
	Status   int             // status of the response with Body
	Type     string          // the Content-Type of Body
	Encoding string          // the Content-Encoding of Body
	Body     string
	Slow     time.Duration // pause after each byte of Body
}

// Set changes the behaviour for later requests. change must not call the provider.
func (p *Provider) Set(change func(b *Behaviour)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behaviour.Faults == nil {
		p.behaviour.Faults = map[string]Fault{}
	}
	change(&p.behaviour)
}

// Reset removes all deviations.
func (p *Provider) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = Behaviour{}
}

func (p *Provider) current() Behaviour {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.behaviour
}

// takeFault returns the fault for the next request to an endpoint and counts down its
// Times.
func (p *Provider) takeFault(name string) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.behaviour.Faults[name]
	if ok && f.Times == 1 {
		delete(p.behaviour.Faults, name)
	} else if ok && f.Times > 1 {
		next := f
		next.Times--
		p.behaviour.Faults[name] = next
	}
	return f, ok
}

// counted returns h with the count, the last request and the fault of an endpoint.
func (p *Provider) counted(name string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if name == Discovery {
			wait(p.options.HoldDiscovery, r)
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		_ = r.ParseForm()
		p.record(name, r)
		f, ok := p.takeFault(name)
		if name == Token && r.PostForm.Get("grant_type") == "refresh_token" {
			p.record(Refresh, r)
			if !ok {
				f, ok = p.takeFault(Refresh)
			}
		}
		if !ok {
			h(w, r)
			return
		}
		disturbed(w, r, f, h)
	}
}

func (p *Provider) record(name string, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[name]++
	p.last[name] = Request{Method: r.Method, Header: r.Header.Clone(), Form: r.Form}
}

func disturbed(w http.ResponseWriter, r *http.Request, f Fault, h http.HandlerFunc) {
	if f.Delay > 0 {
		time.Sleep(f.Delay)
	}
	wait(f.Hold, r)
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.HoldDone != nil:
		held := httptest.NewRecorder()
		h(held, r)
		wait(f.HoldDone, r)
		answerHeld(w, held)
	case f.DropDone:
		h(discardResponse{http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case f.Redirect != "":
		http.Redirect(w, r, f.Redirect, http.StatusTemporaryRedirect)
	case f.Status != 0:
		answerFault(w, r, f)
	default:
		h(w, r)
	}
}

// wait returns when done is closed or nil, or when the client has gone.
func wait(done <-chan struct{}, r *http.Request) {
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-r.Context().Done():
	}
}

func answerHeld(w http.ResponseWriter, held *httptest.ResponseRecorder) {
	for name, values := range held.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(held.Code)
	_, _ = w.Write(held.Body.Bytes())
}

func answerFault(w http.ResponseWriter, r *http.Request, f Fault) {
	if f.Type != "" {
		w.Header().Set("Content-Type", f.Type)
	}
	if f.Encoding != "" {
		w.Header().Set("Content-Encoding", f.Encoding)
	}
	w.WriteHeader(f.Status)
	if f.Slow == 0 {
		_, _ = io.WriteString(w, f.Body)
		return
	}
	flush := http.NewResponseController(w)
	for i := 0; i < len(f.Body) && r.Context().Err() == nil; i++ {
		_, _ = io.WriteString(w, f.Body[i:i+1])
		_ = flush.Flush()
		time.Sleep(f.Slow)
	}
}

// discardResponse discards the response of a request that is handled.
type discardResponse struct{ header http.Header }

func (d discardResponse) Header() http.Header         { return d.header }
func (d discardResponse) Write(b []byte) (int, error) { return len(b), nil }
func (d discardResponse) WriteHeader(int)             {}

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

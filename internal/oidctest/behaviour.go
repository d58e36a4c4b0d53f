package oidctest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"
)

// Behaviour is how a provider differs from one that keeps the rules. Functions
// edit what the rules produce; bodies replace it. The zero value keeps them all.
type Behaviour struct {
	Faults map[string]Fault // by endpoint

	Discovery     func(doc map[string]any)
	DiscoveryBody []byte
	JWKS          func(keys []map[string]any) []map[string]any
	JWKSBody      []byte

	AuthorizeError    string           // the OAuth error sent back instead of a code
	AuthorizeResponse func(url.Values) // edits what is sent back: code, state, iss

	SignWith      *Key // signs ID tokens; nil: the published key
	IDTokenHeader func(header map[string]any)
	IDTokenClaims func(claims map[string]any)
	IDToken       func(raw string) string // replaces the signed token

	TokenError    string // the OAuth error with status 400
	TokenResponse func(response map[string]any)
	TokenBody     []byte
	RefreshTokens RefreshPolicy
	NoRotation    bool // refresh tokens stay valid when used

	// Of answers to refresh tokens alone, after what is said above.
	RefreshError    string // the OAuth error with status 400
	RefreshNonce    bool   // the ID token has the nonce of the sign-in
	RefreshClaims   func(claims map[string]any)
	RefreshResponse func(response map[string]any)

	SessionIDs     SessionIDPolicy
	LogoutToken    func(header, claims map[string]any) // of those that the provider sends
	LogoutSignWith *Key                                // signs them; nil: the published key

	UserInfo       func(claims map[string]any)
	UserInfoSigned bool
	UserInfoBody   []byte
	UserInfoType   string // the Content-Type; empty: as it should be

	ClaimsOnlyInUserInfo bool // ID tokens carry the subject alone
	RequirePKCE          bool
	ConfirmLogout        bool // end_session asks before it signs out
}

// A RefreshPolicy says when a refresh token is issued.
type RefreshPolicy int

const (
	RefreshAlways  RefreshPolicy = iota
	RefreshNever                 // as providers without the grant
	RefreshOffline               // with the scope offline_access
	RefreshConsent               // with prompt=consent, as Google
)

// A SessionIDPolicy says what the claim sid is.
type SessionIDPolicy int

const (
	SessionIDs         SessionIDPolicy = iota // another one for each session at the provider
	NoSessionIDs                              // ID tokens have none
	PersonalSessionIDs                        // one for all sessions of a person
)

// A Fault replaces or disturbs the answers of one endpoint.
type Fault struct {
	Times    int             // how many requests it hits; zero: all
	Delay    time.Duration   // before anything else
	Hold     <-chan struct{} // the request waits until this is closed
	HoldDone <-chan struct{} // the request is handled, and its answer waits until this is closed
	Drop     bool            // the connection is cut before the request is handled
	DropDone bool            // the connection is cut after it was handled: the answer is lost
	Redirect string          // 307 to here
	Status   int             // answered with Body
	Type     string          // the Content-Type of Body
	Encoding string          // the Content-Encoding of Body
	Body     string
	Slow     time.Duration // between the single bytes of Body
}

// Set changes the behaviour of the requests that come after. change must not call
// the provider.
func (p *Provider) Set(change func(b *Behaviour)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behaviour.Faults == nil {
		p.behaviour.Faults = map[string]Fault{}
	}
	change(&p.behaviour)
}

// Reset brings back the behaviour that keeps the rules.
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

// takeFault is the fault that hits this request, and counts it down.
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

// counted wraps an endpoint with its counter, its last request and its fault.
func (p *Provider) counted(name string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		_ = r.ParseForm()
		p.note(name, r)
		f, ok := p.takeFault(name)
		if name == Token && r.PostForm.Get("grant_type") == "refresh_token" {
			p.note(Refresh, r)
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

func (p *Provider) note(name string, r *http.Request) {
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

// wait lasts until done is closed, if there is one, or nobody waits for the answer.
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

// discardResponse lets an endpoint do its work and loses the answer.
type discardResponse struct{ header http.Header }

func (d discardResponse) Header() http.Header         { return d.header }
func (d discardResponse) Write(b []byte) (int, error) { return len(b), nil }
func (d discardResponse) WriteHeader(int)             {}

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

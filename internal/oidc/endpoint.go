package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/places"
)

const (
	callPlaces    = 128  // calls to one endpoint that are under way
	refreshPlaces = 64   // token refreshes that are
	callRoom      = 1024 // calls that wait for their turn
	turnPatience  = 30 * time.Second
)

// An endpoint makes the calls to one endpoint of the provider: bounded in time,
// size and number, without following redirects, behind a breaker of its own. Its
// callers name the client that a call is for, and none can have all the places or
// open the breaker.
type endpoint struct {
	name    string
	client  *http.Client
	timeout time.Duration
	places  *places.Places
	breaker *breaker
}

func newEndpoint(name string, client *http.Client, o Options) *endpoint {
	return &endpoint{
		name: name, client: client, timeout: o.Timeout,
		places: places.New(callPlaces, callRoom), breaker: newBreaker(o.Now, breakerClients),
	}
}

// newDocument is an endpoint that is called for everybody at once, so that its own
// failures open the breaker.
func newDocument(name string, client *http.Client, o Options) *endpoint {
	e := newEndpoint(name, client, o)
	e.breaker.clients = 1
	return e
}

func refuseRedirect(_ *http.Request, _ []*http.Request) error {
	return http.ErrUseLastResponse
}

// newCallClient takes over the transport alone: no cookies, and no redirect is
// followed, since a call may carry a secret.
func newCallClient(c *http.Client) *http.Client {
	calls := &http.Client{CheckRedirect: refuseRedirect}
	if c == nil {
		calls.Transport = NewTransport(TransportOptions{})
		return calls
	}
	calls.Transport = c.Transport
	return calls
}

// unsharedConnections makes a client whose every call has a connection of its
// own: one that was kept may have been closed at the other end, which shows only
// when the call is sent, and then nobody knows whether it arrived.
func unsharedConnections(c *http.Client) *http.Client {
	shared, ok := c.Transport.(*http.Transport)
	if !ok {
		return c
	}
	own := shared.Clone()
	own.DisableKeepAlives = true
	return &http.Client{Transport: own, CheckRedirect: refuseRedirect}
}

// A call is a request that can be sent once. A body is a form.
type call struct {
	method string
	url    string
	accept string
	auth   string // the Authorization header
	body   string
}

// An answer has no body where the status is 500 or more.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// A Turn is the right to make one call.
type Turn struct {
	endpoint *endpoint
	client   string

	mu    sync.Mutex // guards ended
	ended bool
}

// await returns the next turn of client, and waits for it: do or End must follow.
// ErrUnavailable: the endpoint is left alone, or there was none in time.
func (e *endpoint) await(ctx context.Context, client string) (*Turn, error) {
	if !e.breaker.admits(client) {
		return nil, e.fail(leftAlone, ErrUnavailable)
	}
	patient, cancel := context.WithTimeout(ctx, turnPatience)
	err := e.places.Take(patient, client)
	cancel()
	if err != nil {
		return nil, e.fail("has too many requests under way", ErrUnavailable)
	}
	if !e.breaker.admit(client) {
		e.places.Leave(client)
		return nil, e.fail(leftAlone, ErrUnavailable)
	}
	return &Turn{endpoint: e, client: client}, nil
}

const leftAlone = "is not answering and is left alone for a while"

// End gives a turn back that was not used. After a use it does nothing.
func (t *Turn) End() {
	t.end(callUndecided)
}

// end ends the turn, once.
func (t *Turn) end(outcome int) {
	t.mu.Lock()
	first := !t.ended
	t.ended = true
	t.mu.Unlock()
	if first {
		t.endpoint.breaker.done(t.client, outcome)
		t.endpoint.places.Leave(t.client)
	}
}

// do awaits the turn of client and sends a call. ErrUnavailable: it was not sent.
// ErrLost: it was sent and not fully answered. A status of any kind is an answer.
func (e *endpoint) do(ctx context.Context, client string, c call) (*answer, error) {
	t, err := e.await(ctx, client)
	if err != nil {
		return nil, err
	}
	return t.do(ctx, c)
}

// do sends a call, as do of the endpoint, and ends the turn.
func (t *Turn) do(ctx context.Context, c call) (*answer, error) {
	e := t.endpoint
	timed, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	sent := &sendTrace{}
	a, err := e.exchange(sent.follow(timed), c)
	switch {
	case err != nil && ctx.Err() == nil && isTimeout(err):
		t.end(callFailed)
	case err != nil:
		t.end(callUndecided)
	case a.status >= 500:
		t.end(callFailed)
	default:
		t.end(callAnswered)
	}
	if err == nil {
		return a, nil
	}
	if sent.connected.Load() && !isDialError(err) {
		return nil, e.failAt(c.url, reason(err), ErrLost)
	}
	return nil, e.failAt(c.url, reason(err), ErrUnavailable)
}

// get is do for a request that does no harm when it is sent again: an answer
// that was lost is ErrUnavailable.
func (e *endpoint) get(ctx context.Context, client string, c call) (*answer, error) {
	c.method = http.MethodGet
	a, err := e.do(ctx, client, c)
	if errors.Is(err, ErrLost) {
		return nil, e.failAt(c.url, "gave no full answer", ErrUnavailable)
	}
	return a, err
}

// document fetches what the provider publishes. Every error is ErrUnavailable.
func (e *endpoint) document(c call) (*answer, error) {
	a, err := e.get(context.Background(), "", c)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, e.failAt(c.url, fmt.Sprintf("answered with status %d", a.status), ErrUnavailable)
	}
	return a, nil
}

// refused turns a status that is not the wanted one into an error.
func (e *endpoint) refused(a *answer) error {
	why := fmt.Sprintf("answered with status %d", a.status)
	if a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout {
		return e.fail(why, ErrUnavailable)
	}
	return e.fail(why, ErrRejected)
}

// fail makes an error of constant words.
func (e *endpoint) fail(what string, sentinel error) error {
	return fmt.Errorf("oidc: %s %s: %w", e.name, what, sentinel)
}

// failAt is fail with the address that was requested.
func (e *endpoint) failAt(address, what string, sentinel error) error {
	return fmt.Errorf("oidc: %s at %s %s: %w", e.name, shown(address), what, sentinel)
}

// shown is an address as an error may have it: without a query, without what no
// address has, and not too long.
func shown(address string) string {
	address, _, _ = strings.Cut(address, "?")
	if len(address) > 300 || strings.Trim(address, addressChars) != "" || strings.Contains(address, "@") {
		return "an address that cannot be shown"
	}
	return address
}

const addressChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/[]%{}+,;=&$!'()*"

func (e *endpoint) retryAt() time.Time {
	return e.breaker.retryAt()
}

func closeBody(resp *http.Response) {
	_ = resp.Body.Close()
}

func (e *endpoint) exchange(ctx context.Context, c call) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", c.accept)
	if c.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer closeBody(resp)
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.status >= 500 {
		return a, nil
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(a.body) > maxBody {
		return nil, errTooLarge
	}
	return a, nil
}

// A sendTrace learns whether a connection was there to send on. From then on a
// call counts as sent.
type sendTrace struct {
	connected atomic.Bool
}

func (s *sendTrace) follow(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: s.gotConn})
}

func (s *sendTrace) gotConn(_ httptrace.GotConnInfo) {
	s.connected.Store(true)
}

var errTooLarge = errors.New("body too large")

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &n) && n.Timeout())
}

func isDialError(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.Is(err, errAddress) || errors.As(err, &dns) || (errors.As(err, &op) && op.Op == "dial")
}

// reason says in constant words why there was no answer.
func reason(err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, errAddress):
		return "is at an address that is not allowed"
	case errors.Is(err, errTooLarge):
		return "sent too much"
	case errors.Is(err, context.Canceled):
		return "was not waited for"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "answers in plain http, and https was expected: check the port and the scheme"
	case isTimeout(err):
		return "timed out"
	case errors.As(err, &dns):
		return "has a host name that is not found"
	case errors.As(err, &cert) || errors.As(err, &authority):
		return "has a certificate that is not trusted"
	case isDialError(err):
		return "refused the connection"
	}
	return "broke the connection"
}

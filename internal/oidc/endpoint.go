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
	callPlaces    = 128  // calls to one endpoint at the same time
	refreshPlaces = 64   // token refreshes at the same time
	callRoom      = 1024 // calls that wait for their turn
	turnPatience  = 30 * time.Second
)

// An endpoint makes the calls to one endpoint of the provider. Calls are bounded in
// time, size and number, follow no redirect, and pass a breaker of this endpoint.
//
// Each call names the client that it is made for: a network, a user or a token. One
// client can neither take all the places nor open the breaker.
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

// newDocument makes an endpoint of a document that is fetched for all clients at once.
// Failures of that one caller open its breaker.
func newDocument(name string, client *http.Client, o Options) *endpoint {
	e := newEndpoint(name, client, o)
	e.breaker.clients = 1
	return e
}

func refuseRedirect(_ *http.Request, _ []*http.Request) error {
	return http.ErrUseLastResponse
}

// newCallClient makes a client with the transport of c. It has no cookie jar and
// follows no redirect, because a call may carry a secret.
func newCallClient(c *http.Client) *http.Client {
	calls := &http.Client{CheckRedirect: refuseRedirect}
	if c == nil {
		calls.Transport = NewTransport(TransportOptions{})
		return calls
	}
	calls.Transport = c.Transport
	return calls
}

// unsharedConnections makes a client that opens a connection for each call. The
// provider may have closed a kept connection. That shows only when a call is sent on
// it, and then it is unknown whether the call arrived.
func unsharedConnections(c *http.Client) *http.Client {
	shared, ok := c.Transport.(*http.Transport)
	if !ok {
		return c
	}
	own := shared.Clone()
	own.DisableKeepAlives = true
	return &http.Client{Transport: own, CheckRedirect: refuseRedirect}
}

// A call is a request that is sent at most once.
type call struct {
	method string
	url    string
	accept string
	auth   string // the Authorization header
	body   string // a form; empty: none
}

// An answer is a response. It has no body if the status is 500 or more.
type answer struct {
	url    string // requested
	status int
	header http.Header
	body   []byte
}

// A Turn is the right to make one call to an endpoint. It is safe for concurrent use.
type Turn struct {
	endpoint *endpoint
	client   string
	lost     string // why do returned ErrLost

	mu    sync.Mutex // guards ended
	ended bool
}

// await waits for the next turn of client. Turn.do or Turn.End must follow.
// ErrUnavailable: the breaker is open, or no turn came in time.
func (e *endpoint) await(ctx context.Context, client string) (*Turn, error) {
	if !e.breaker.admits(client) {
		return nil, e.fail(breakerOpen, ErrUnavailable)
	}
	patient, cancel := context.WithTimeout(ctx, turnPatience)
	err := e.places.Take(patient, client)
	cancel()
	if err != nil {
		return nil, e.fail("has too many requests under way", ErrUnavailable)
	}
	if !e.breaker.admit(client) {
		e.places.Leave(client)
		return nil, e.fail(breakerOpen, ErrUnavailable)
	}
	return &Turn{endpoint: e, client: client}, nil
}

const breakerOpen = "is not answering and is left alone for a while"

// End gives back a turn that was not used. After the call it does nothing.
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

// do awaits the turn of client and sends a call. A response of any status is an
// answer. ErrUnavailable: the call was not sent. ErrLost: it was sent, and no complete
// response came.
func (e *endpoint) do(ctx context.Context, client string, c call) (*answer, error) {
	t, err := e.await(ctx, client)
	if err != nil {
		return nil, err
	}
	return t.do(ctx, c)
}

// do sends a call, like endpoint.do, and ends the turn.
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
		t.lost = reason(err)
		return nil, e.failAt(c.url, t.lost, ErrLost)
	}
	return nil, e.failAt(c.url, reason(err), ErrUnavailable)
}

// get is do for a request that may be sent again. ErrUnavailable: there was no
// complete response.
func (e *endpoint) get(ctx context.Context, client string, c call) (*answer, error) {
	c.method = http.MethodGet
	t, err := e.await(ctx, client)
	if err != nil {
		return nil, err
	}
	a, err := t.do(ctx, c)
	if errors.Is(err, ErrLost) {
		return nil, e.failAt(c.url, "sent no complete response: it "+t.lost, ErrUnavailable)
	}
	return a, err
}

// document fetches a published document. Every error is an ErrUnavailable.
func (e *endpoint) document(c call) (*answer, error) {
	a, err := e.get(context.Background(), "", c)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, e.failAt(c.url, a.refusal(), ErrUnavailable)
	}
	return a, nil
}

// refusal names an unexpected status, with its usual cause where the request says it.
func (a *answer) refusal() string {
	text := fmt.Sprintf("answered with status %d", a.status)
	switch {
	case a.status == http.StatusBadRequest && strings.HasPrefix(a.url, "http://"):
		return text + ": check the port and the scheme, the port may expect https"
	case a.status == http.StatusNotFound:
		return text + ": check the path of the URL"
	}
	return text
}

// refused makes an error of an unexpected status: ErrUnavailable if the call may succeed
// later, otherwise ErrRejected.
func (e *endpoint) refused(a *answer) error {
	if a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout {
		return e.failAt(a.url, a.refusal(), ErrUnavailable)
	}
	return e.failAt(a.url, a.refusal(), ErrRejected)
}

// fail makes an error from the endpoint's name and constant words.
func (e *endpoint) fail(problem string, sentinel error) error {
	return fmt.Errorf("oidc: %s %s: %w", e.name, problem, sentinel)
}

// failAt is fail with the requested address.
func (e *endpoint) failAt(address, problem string, sentinel error) error {
	return fmt.Errorf("oidc: %s at %s %s: %w", e.name, displayURL(address), problem, sentinel)
}

// displayURL returns an address for use in an error: without its query. An address
// that is too long, has an @ or has characters that no URL has is replaced.
func displayURL(address string) string {
	address, _, _ = strings.Cut(address, "?")
	if len(address) > 300 || strings.Trim(address, addressChars) != "" || strings.Contains(address, "@") {
		return "an address that cannot be displayed"
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
	a := &answer{url: c.url, status: resp.StatusCode, header: resp.Header}
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

// A sendTrace records whether a call got a connection. From then on the call may have
// been sent.
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

// reason returns constant words for the cause of a call without a response.
func reason(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errAddress):
		return "is at an address that is not allowed"
	case errors.Is(err, errTooLarge):
		return "sent a response that is too large"
	case errors.Is(err, context.Canceled):
		return "did not respond before the request was canceled"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "responds in plain http instead of https: check the port and the scheme"
	case isTimeout(err):
		return "timed out"
	case errors.As(err, &dns):
		return "has a host name that is not found"
	case distrust(err) != "":
		return "has a certificate that is not trusted: " + distrust(err)
	case isDialError(err):
		return "refused the connection"
	}
	return "broke the connection"
}

// distrust returns why a certificate is not trusted; empty: err has another cause.
func distrust(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var other *tls.CertificateVerificationError
	switch {
	case errors.As(err, &authority):
		return "its issuer is not a known one; set caCertPath or caCertPEM"
	case errors.As(err, &host):
		return "it is for another host name; check providerURL and the certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet; check the certificate and the clock"
	case errors.As(err, &invalid) || errors.As(err, &other):
		return "it does not hold; check the certificate, caCertPath and caCertPEM"
	}
	return ""
}

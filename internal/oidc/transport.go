package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

var errAddress = errors.New("address not allowed")

// TransportOptions limit the addresses that a transport connects to. The zero value
// permits public addresses only.
type TransportOptions struct {
	// Trusted are URLs from the operator's configuration. Their hosts are exempt from
	// the check of addresses, at every port.
	Trusted []string
	// Proxy returns the proxy for a request (http.ProxyFromEnvironment); nil: no
	// proxy is used. The proxy's own host is exempt from the check of addresses.
	// Behind a proxy, only the proxy can check the addresses that it connects to.
	Proxy              func(r *http.Request) (*url.URL, error)
	AllowPrivate       bool // permits private, loopback and other special addresses
	RootCAs            *x509.CertPool
	Certificates       []tls.Certificate // of the client, for tls_client_auth
	InsecureSkipVerify bool
}

func lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func connect(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	return d.DialContext(ctx, network, address)
}

// NewTransport makes a transport that checks each address when it dials, after names
// are resolved. A name in a discovery document, or a name that changes its address
// between look-ups, thus cannot lead to a private address.
func NewTransport(o TransportOptions) *http.Transport {
	d := &guardedDialer{allowPrivate: o.AllowPrivate, lookUp: lookUp, connect: connect, exempt: map[string]bool{}}
	for _, raw := range o.Trusted {
		if u, err := url.Parse(raw); err == nil && raw != "" {
			d.exempt[strings.ToLower(u.Hostname())] = true
		}
	}
	t := &http.Transport{
		DialContext: d.dial,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs,
			Certificates: o.Certificates, InsecureSkipVerify: o.InsecureSkipVerify,
		},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
	}
	if o.Proxy != nil {
		d.exemptProxies(o.Proxy)
		t.Proxy = o.Proxy
	}
	return t
}

// exemptProxies exempts the proxies that serve requests to public hosts.
func (d *guardedDialer) exemptProxies(proxy func(r *http.Request) (*url.URL, error)) {
	for _, scheme := range []string{"http", "https"} {
		u, err := proxy(&http.Request{URL: &url.URL{Scheme: scheme, Host: "host.invalid"}})
		if err == nil && u != nil {
			d.exempt[strings.ToLower(u.Hostname())] = true
		}
	}
}

// A guardedDialer connects to public addresses only, and to any address of the
// exempt hosts, at every port.
type guardedDialer struct {
	exempt       map[string]bool // host names in lower case; not changed after the first dial
	allowPrivate bool
	lookUp       func(ctx context.Context, host string) ([]netip.Addr, error)
	connect      func(ctx context.Context, network, address string) (net.Conn, error)
}

// dial resolves a host once. If one of its addresses is not public, none is dialled,
// because the owner of the name decides on the order of its addresses.
func (d *guardedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if d.allowPrivate || d.exempt[strings.ToLower(host)] {
		return d.connect(ctx, network, address)
	}
	addrs, err := d.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range addrs {
		if !isPublic(ip) {
			return nil, errAddress
		}
	}
	last := errAddress
	for _, ip := range addrs {
		conn, dialErr := d.connect(ctx, network, net.JoinHostPort(ip.String(), port))
		if dialErr == nil {
			return conn, nil
		}
		last = dialErr
	}
	return nil, last
}

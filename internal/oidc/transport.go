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

// TransportOptions say whom a provider's transport may talk to.
type TransportOptions struct {
	Issuer             string // its host is exempt from the rule on addresses, at every port
	AllowPrivate       bool   // permits private, loopback and other special addresses
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

// NewTransport makes a transport that looks at the address when it dials, after
// names are resolved, so that a name cannot lead inside: neither one that
// discovery invents nor one that changes its address between look-ups.
func NewTransport(o TransportOptions) *http.Transport {
	d := &guardedDialer{allowPrivate: o.AllowPrivate, lookUp: lookUp, connect: connect}
	if u, err := url.Parse(o.Issuer); err == nil {
		d.exempt = strings.ToLower(u.Hostname())
	}
	return &http.Transport{
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
}

// A guardedDialer connects to public addresses only, and to any address of the
// exempt host, at every port.
type guardedDialer struct {
	exempt       string
	allowPrivate bool
	lookUp       func(ctx context.Context, host string) ([]netip.Addr, error)
	connect      func(ctx context.Context, network, address string) (net.Conn, error)
}

// dial looks a host up once. All of its addresses must be public, or none is
// dialled: which of them a resolver puts first is up to the host's owner.
func (d *guardedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if d.allowPrivate || strings.ToLower(host) == d.exempt {
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

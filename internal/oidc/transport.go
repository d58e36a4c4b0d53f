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
	Issuer             string // its host is exempt from the rule on addresses
	AllowPrivate       bool   // permits private, loopback and other special addresses
	RootCAs            *x509.CertPool
	Certificates       []tls.Certificate // of the client, for tls_client_auth
	InsecureSkipVerify bool
}

// NewTransport makes a transport that looks at the address when it dials, after
// names are resolved, so that a name cannot lead inside: neither one that
// discovery invents nor one that changes its address between look-ups.
func NewTransport(o TransportOptions) *http.Transport {
	d := &guardedDialer{allowPrivate: o.AllowPrivate, dialer: &net.Dialer{Timeout: 5 * time.Second}}
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

type guardedDialer struct {
	exempt       string
	allowPrivate bool
	dialer       *net.Dialer
}

func (d *guardedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if d.allowPrivate || strings.ToLower(host) == d.exempt {
		return d.dialer.DialContext(ctx, network, address)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	last := errAddress
	for _, ip := range addrs {
		if !isPublic(ip) {
			return nil, errAddress
		}
	}
	for _, ip := range addrs {
		conn, dialErr := d.dialer.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if dialErr == nil {
			return conn, nil
		}
		last = dialErr
	}
	return nil, last
}

// isPublic is false for what the IANA registries of special-purpose addresses
// keep from the public internet, also inside an IPv6 address.
func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" {
		return false
	}
	for _, prefix := range specialPrefixes() {
		if prefix.Contains(ip) {
			return false
		}
	}
	return true
}

func specialPrefixes() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // carriers' NAT, and cloud metadata
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b::/96"), // NAT64: an IPv4 address inside
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/23"), // Teredo and others
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address inside
		netip.MustParsePrefix("fec0::/10"),
	}
}

package resp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) issue(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.DNSNames, tmpl.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestJ9TLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	hour := time.Now().Add(time.Hour)
	good := ca.issue(t, "127.0.0.1", hour)
	rows := []struct {
		name   string
		server *tls.Config
		client *tls.Config
		works  bool
	}{
		{"right authority and name", &tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{RootCAs: ca.pool()}, true},
		{"wrong authority", &tls.Config{Certificates: []tls.Certificate{other.issue(t, "127.0.0.1", hour)}}, &tls.Config{RootCAs: ca.pool()}, false},
		{"wrong name", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "elsewhere", hour)}}, &tls.Config{RootCAs: ca.pool()}, false},
		{"name given", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "elsewhere", hour)}}, &tls.Config{RootCAs: ca.pool(), ServerName: "elsewhere"}, true},
		{"expired", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))}}, &tls.Config{RootCAs: ca.pool()}, false},
		{"version too old", &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS13}, false},
		{"client certificate", &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			&tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.issue(t, "me", hour)}}, true},
		{"client certificate missing", &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			&tls.Config{RootCAs: ca.pool()}, false},
		{"plain text to a TLS server", &tls.Config{Certificates: []tls.Certificate{good}}, nil, false},
	}
	for _, row := range rows {
		t.Run("J9 "+row.name, func(t *testing.T) {
			s := resptest.Start(t)
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ln := tls.NewListener(inner, row.server)
			defer ln.Close()
			go pipe(ln, s)
			o := patient(inner.Addr().String())
			o.TLS, o.MaxRetries = row.client, -1
			if row.client == nil {
				o.OperationTimeout = time.Second // a TLS server waits for more
			}
			c := NewClient(o)
			defer c.Close()
			err = c.Set(bg, "k", []byte("v"), time.Minute)
			if (err == nil) != row.works {
				t.Errorf("error %v", err)
			}
			if err != nil && (!errors.Is(err, ErrNotSent) || s.Count("SET") != 0) {
				t.Errorf("error %v, %d commands", err, s.Count("SET"))
			}
			if row.client == nil && (err == nil || !strings.Contains(err.Error(), "no answer from "+inner.Addr().String()+" to a connection without TLS")) {
				t.Errorf("error %v does not name the address and TLS", err)
			}
			if err == nil {
				for i := 0; i < 10; i++ {
					if _, err := c.Get(bg, "k"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for _, patience := range []time.Duration{200 * time.Millisecond, time.Minute} {
		t.Run("J9 TLS to a server that sends nothing, patience "+patience.String(), func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close() // nothing accepts, so the system keeps the connection and its bytes
			o := patient(ln.Addr().String())
			o.TLS, o.MaxRetries = &tls.Config{RootCAs: ca.pool()}, -1
			o.OperationTimeout = patience
			if patience == time.Minute {
				o.DialTimeout = 200 * time.Millisecond // the dial ends first
			}
			c := NewClient(o)
			defer c.Close()
			if err := c.Ping(bg); !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), "no TLS answer from "+ln.Addr().String()) {
				t.Error(err)
			}
		})
	}
	t.Run("J9 TLS to a plain server", func(t *testing.T) {
		s := resptest.Start(t)
		o := patient(s.Addr())
		o.TLS, o.MaxRetries = &tls.Config{RootCAs: ca.pool()}, -1
		c := NewClient(o)
		defer c.Close()
		if err := c.Ping(bg); !errors.Is(err, ErrNotSent) || s.Count("PING") != 0 || !strings.Contains(err.Error(), "no TLS answer from "+s.Addr()) {
			t.Error(err)
		}
	})
}

// writePEM writes certificates and, where there is one, a key into files.
func writePEM(t *testing.T, c tls.Certificate, cert, key string) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	if err := os.WriteFile(cert, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if key == "" {
		return
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Certificates that are replaced in their files apply from the next dial on.
func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	caFile, certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	hour := time.Now().Add(time.Hour)
	old, replaced := newAuthority(t), newAuthority(t)
	// serve changes the certificate of the server, which accepts clients of one authority.
	var current atomic.Value
	serve := func(a *authority) {
		current.Store(&tls.Config{
			Certificates: []tls.Certificate{a.issue(t, "127.0.0.1", hour)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool(),
		})
	}
	serve(old)
	s := resptest.Start(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := tls.NewListener(inner, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return current.Load().(*tls.Config), nil
	}})
	defer ln.Close()
	go pipe(ln, s)

	writePEM(t, tls.Certificate{Certificate: [][]byte{old.cert.Raw}}, caFile, "")
	writePEM(t, old.issue(t, "me", hour), certFile, keyFile)
	o := patient(inner.Addr().String())
	o.TLS, o.TLSFiles, o.MaxRetries = &tls.Config{}, TLSFiles{CA: caFile, Cert: certFile, Key: keyFile}, -1
	c := NewClient(o)
	defer c.Close()
	set := func() error { return c.Set(bg, "k", []byte("v"), time.Minute) }
	if err := set(); err != nil {
		t.Fatal(err)
	}
	serve(replaced)
	s.Cut()
	eventually.True(t, "the server's new certificate is refused", func() bool { return set() != nil })
	if err := os.WriteFile(caFile, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := set(); err == nil {
		t.Error("a broken file lets any server pass")
	}
	writePEM(t, tls.Certificate{Certificate: [][]byte{replaced.cert.Raw}}, caFile, "")
	writePEM(t, replaced.issue(t, "me", hour), certFile, keyFile)
	if err := set(); err != nil {
		t.Errorf("with replaced files: %v", err)
	}
	if err := os.Remove(caFile); err != nil {
		t.Fatal(err)
	}
	s.Cut()
	eventually.True(t, "a missing file changes nothing", func() bool { return set() == nil })
}

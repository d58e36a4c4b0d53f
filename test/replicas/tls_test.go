package replicas

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// An authority issues certificates into files.
type authority struct {
	t    testing.TB
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t testing.TB, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir, file: filepath.Join(dir, name+".crt")}
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(a.file, "CERTIFICATE", der)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) write(file, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue makes a certificate for names and addresses, and its key.
func (a *authority) issue(name string, names ...string) (cert, key string) {
	a.t.Helper()
	k := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	a.write(cert, "CERTIFICATE", der)
	a.write(key, "EC PRIVATE KEY", encoded)
	return cert, key
}

// secured starts a server with only TLS on its port.
func secured(t testing.TB, a *authority, cert, key string, more ...string) *server {
	t.Helper()
	s := newServer(t)
	s.Change(func(o *redistest.Options) {
		o.Args = append([]string{"--port", "0", "--tls-port", s.Port(), "--tls-cert-file", cert, "--tls-key-file", key,
			"--tls-ca-cert-file", a.file, "--tls-auth-clients", "no"}, more...)
	})
	s.Start()
	return s
}

func TestRedisTLS(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := newAuthority(t, dir, "ours"), newAuthority(t, dir, "theirs")
	cert, key := ours.issue("server", "127.0.0.1", "redis.example.test")
	named, namedKey := ours.issue("named", "redis.example.test")
	client, clientKey := ours.issue("client")
	foreign, foreignKey := theirs.issue("foreign", "127.0.0.1", "redis.example.test")

	// tried starts a replica with the row's option on a server of its own.
	tried := func(x *trial, s *server, base section) *replica {
		base["address"] = s.Address()
		return x.start(base)
	}
	encrypted := func(x *trial) {
		s := secured(x, ours, cert, key)
		r := tried(x, s, section{"tls.caFile": ours.file})
		x.want("it connects", x.connects(r))
	}
	unchecked := func(x *trial) {
		s := secured(x, theirs, foreign, foreignKey)
		r := tried(x, s, section{"tls.enabled": "true", "tls.caFile": ours.file})
		x.want("it connects", x.connects(r))
		if log := r.log(); x.set != strings.Contains(log, "certificate is not checked") {
			t.Errorf("the log:\n%s", log)
		}
	}
	run(t, []row{
		{option: "tls.enabled", value: "true", variable: "REDIS_TLS_ENABLED", check: encrypted},
		{option: "enableTLS", value: "true", variable: "REDIS_ENABLE_TLS", world: "aliases", check: encrypted},
		{option: "tls.caFile", value: ours.file, variable: "REDIS_TLS_CA_FILE", check: func(x *trial) {
			s := secured(x, ours, cert, key)
			x.want("it connects", x.connects(tried(x, s, section{"tls.enabled": "true"})))
		}},
		{option: "tls.caFile", value: theirs.file, check: func(x *trial) {
			s := secured(x, ours, cert, key)
			if r := tried(x, s, section{"tls.enabled": "true"}); x.connects(r) {
				x.Error("J9 it connects to a server with a certificate of another authority")
			}
		}},
		{option: "tls.serverName", value: "redis.example.test", variable: "REDIS_TLS_SERVER_NAME", check: func(x *trial) {
			s := secured(x, ours, named, namedKey)
			x.want("J9 it connects", x.connects(tried(x, s, section{"tls.enabled": "true", "tls.caFile": ours.file})))
		}},
		{option: "tls.insecureSkipVerify", value: "true", variable: "REDIS_TLS_INSECURE_SKIP_VERIFY", check: unchecked},
		{option: "tlsSkipVerify", value: "true", variable: "REDIS_TLS_SKIP_VERIFY", world: "aliases", check: unchecked},
		{option: "tls.minVersion", value: "1.3", variable: "REDIS_TLS_MIN_VERSION", check: func(x *trial) {
			s := secured(x, ours, cert, key, "--tls-protocols", "TLSv1.2")
			x.want("it refuses TLS 1.2", !x.connects(tried(x, s, section{"tls.enabled": "true", "tls.caFile": ours.file})))
		}},
		{option: "tls.certFile", value: client, variable: "REDIS_TLS_CERT_FILE", world: "pair", required: true, check: func(x *trial) {
			s := secured(x, ours, cert, key, "--tls-auth-clients", "yes")
			base := section{"tls.enabled": "true", "tls.caFile": ours.file, "tls.keyFile": clientKey}
			x.want("it connects", x.connects(tried(x, s, base)))
		}},
		{option: "tls.keyFile", value: clientKey, variable: "REDIS_TLS_KEY_FILE", world: "pair", check: func(x *trial) {
			s := secured(x, ours, cert, key, "--tls-auth-clients", "yes")
			base := section{"tls.enabled": "true", "tls.caFile": ours.file}
			if x.set {
				base["tls.certFile"] = client
			}
			x.want("it connects", x.connects(tried(x, s, base)))
		}},
	})

	t.Run("redis.address rediss:// means TLS, and a plain server is not spoken to", func(t *testing.T) {
		t.Parallel()
		m := newMiddleware(t, accounts)
		first, _ := load(t)
		s, plain := secured(t, ours, cert, key), startServer(t)
		x := &trial{T: t, plugin: first, m: m, row: row{option: "address"}}
		ca := section{"caFile": ours.file}
		if !x.connects(m.start(first, m.options(hybrid("rediss://"+s.Address(), "tls", ca)))) {
			t.Error("it does not connect")
		}
		if x.connects(m.start(first, m.options(hybrid("rediss://"+plain.Address(), "operationTimeout", "3s", "tls", ca)))) {
			t.Error("it connects without TLS")
		}
		if pooled, listening := plain.clients(); len(pooled)+len(listening) != 0 {
			t.Error("it is connected without TLS")
		}
	})
}

// A certificate that is replaced in its file applies without a reload.
func TestCertificatesAreReplacedInPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := newAuthority(t, dir, "ours"), newAuthority(t, dir, "theirs")
	cert, key := ours.issue("server", "127.0.0.1")
	s := secured(t, ours, cert, key)
	file := filepath.Join(dir, "mounted.crt")
	mount := func(a *authority) {
		t.Helper()
		text, err := os.ReadFile(a.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	mount(theirs)
	a := alone(t, nest(hybrid(s.Address(), "tls.enabled", "true", "tls.caFile", file)))
	eventually.True(t, "the certificate is refused", func() bool { return strings.Contains(a.log(), fellBack) })
	mount(ours)
	eventually.True(t, "the new file is read", func() bool { return strings.Contains(a.log(), "Redis cache initialized") })
}

package resp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
)

// TLSFiles are PEM files of a TLS connection. Each dial reads those that have changed
// since, so that certificates can be replaced in place. Files that are missing or do not
// fit together, as during a replacement, change nothing. Empty names are no files.
type TLSFiles struct {
	// CA has the certificates of the authorities that sign the server's certificate.
	CA string
	// Cert and Key are the client's certificate and its key: both or neither.
	Cert, Key string
}

// maxTLSFile is the largest file that is read, in bytes.
const maxTLSFile = 1 << 20

// A tlsCache has the TLS configuration of the files that were read last. The zero value
// has read none.
type tlsCache struct {
	mu     sync.Mutex // guards the fields below
	stamp  string
	config *tls.Config // nil: that of Options
}

// get returns the configuration of o, with the files as they are now.
func (c *tlsCache) get(o *Options) *tls.Config {
	if o.TLSFiles == (TLSFiles{}) {
		return o.TLS
	}
	stamp := o.TLSFiles.stamp()
	c.mu.Lock()
	defer c.mu.Unlock()
	if stamp != c.stamp {
		if read, err := o.TLSFiles.read(o.TLS); err == nil {
			c.config = read
			c.stamp = stamp
		}
	}
	if c.config == nil {
		return o.TLS
	}
	return c.config
}

// stamp differs when a file was changed or replaced.
func (f TLSFiles) stamp() string {
	return fileStamp(f.CA) + " " + fileStamp(f.Cert) + " " + fileStamp(f.Key)
}

func fileStamp(name string) string {
	if name == "" {
		return ""
	}
	info, err := os.Stat(name)
	if err != nil {
		return "absent"
	}
	return fmt.Sprintf("%d.%d", info.ModTime().UnixNano(), info.Size())
}

var errTLSFile = errors.New("resp: a TLS file cannot be used")

// read returns a copy of base with the content of the files.
func (f TLSFiles) read(base *tls.Config) (*tls.Config, error) {
	c := base.Clone()
	if f.CA != "" {
		text, err := readTLSFile(f.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errTLSFile
		}
	}
	if f.Cert == "" {
		return c, nil
	}
	cert, err := readTLSFile(f.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readTLSFile(f.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errTLSFile
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

func readTLSFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxTLSFile {
		return nil, errTLSFile
	}
	return os.ReadFile(name)
}

package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

const (
	// caLife and leafLife are how long new certificates are valid. Some clients
	// refuse a leaf of more than 398 days.
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 397 * 24 * time.Hour
	// renewBefore is how long before its end a leaf is replaced.
	renewBefore = 30 * 24 * time.Hour
	// backdate forgives clients whose clock is slow.
	backdate = time.Hour
)

// store is the folder of a self-signed certificate and what it must be for.
type store struct {
	dir   string
	names []string
	ips   []net.IP
	clk   clock.Clock
}

// SelfSigned returns a certificate for the given names and addresses, and
// always for localhost, 127.0.0.1 and ::1. It is signed by an authority of its
// own, made once: `ca.pem` in dir is what a client trusts. `cert.pem` and
// `key.pem` are made anew when they are missing, end within 30 days or lack a
// name; the authority is kept as long as it lasts. Files are private to the
// user that runs the server.
func SelfSigned(dir string, hostnames []string, ips []net.IP, clk clock.Clock) (*Pair, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the certificate: %w", err)
	}
	s := &store{dir: dir, clk: clk, ips: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	for _, name := range append([]string{"localhost"}, hostnames...) {
		s.add(name)
	}
	for _, ip := range ips {
		s.add(ip.String())
	}
	p := &Pair{CAFile: s.path("ca.pem"), CertFile: s.path("cert.pem"), KeyFile: s.path("key.pem"), clk: clk}
	p.refresh = func() (*tls.Certificate, error) {
		if p.current != nil && s.good(p.current.Leaf) {
			return nil, nil //nolint:nilnil // the certificate in use is good
		}
		return s.load()
	}
	return p.start()
}

// add takes a name or the text of an address, once.
func (s *store) add(name string) {
	name = strings.ToLower(name)
	if ip := net.ParseIP(name); ip != nil {
		if !slices.ContainsFunc(s.ips, ip.Equal) {
			s.ips = append(s.ips, ip)
		}
		return
	}
	if name != "" && !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
}

func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

// load returns the stored certificate, or a new one where that does not serve.
func (s *store) load() (*tls.Certificate, error) {
	ca, err := s.authority()
	if err != nil {
		return nil, fmt.Errorf("certificate authority in %s: %w", s.dir, err)
	}
	cert, err := tls.LoadX509KeyPair(s.path("cert.pem"), s.path("key.pem"))
	if err == nil && s.good(cert.Leaf) && cert.Leaf.CheckSignatureFrom(ca.Leaf) == nil {
		return &cert, nil
	}
	cert, err = s.issue(ca)
	if err != nil {
		return nil, fmt.Errorf("certificate in %s: %w", s.dir, err)
	}
	return &cert, nil
}

// good reports whether a leaf is for exactly our names and does not end soon.
func (s *store) good(leaf *x509.Certificate) bool {
	now := s.clk.Now()
	return now.After(leaf.NotBefore) && now.Add(renewBefore).Before(leaf.NotAfter) &&
		slices.Equal(leaf.DNSNames, s.names) && slices.EqualFunc(leaf.IPAddresses, s.ips, net.IP.Equal)
}

// authority returns the stored authority, or a new one when there is none or
// it could not sign a leaf of full life. A damaged one is an error: to replace
// it would silently break every client that trusts it.
//
// ca-key.pem holds key and certificate, so that no crash can part them; ca.pem
// is the certificate alone, for clients.
func (s *store) authority() (tls.Certificate, error) {
	ca, err := tls.LoadX509KeyPair(s.path("ca-key.pem"), s.path("ca-key.pem"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		ca, err = s.newAuthority()
	case err != nil:
		return ca, fmt.Errorf("ca-key.pem is damaged, remove it to make a new authority: %w", err)
	case s.clk.Now().Add(leafLife).After(ca.Leaf.NotAfter):
		ca, err = s.newAuthority()
	}
	if err != nil {
		return ca, err
	}
	public := encodePEM("CERTIFICATE", ca.Leaf.Raw)
	if have, err := os.ReadFile(s.path("ca.pem")); err == nil && bytes.Equal(have, public) {
		return ca, nil
	}
	return ca, s.write("ca.pem", public)
}

func (s *store) newAuthority() (tls.Certificate, error) {
	now := s.clk.Now()
	cert, key, err := sign(&x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"mailserver"}, CommonName: "mailserver local CA " + now.Format(time.DateOnly)},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := s.write("ca-key.pem", slices.Concat(key, cert)); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// issue signs and stores a new leaf. A crash between the two files leaves a
// pair that does not fit, which load replaces.
func (s *store) issue(ca tls.Certificate) (tls.Certificate, error) {
	now := s.clk.Now()
	cert, key, err := sign(&x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"mailserver"}, CommonName: s.names[len(s.names)-1]},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(leafLife),
		DNSNames:              s.names,
		IPAddresses:           s.ips,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &ca)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := errors.Join(s.write("key.pem", key), s.write("cert.pem", cert)); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// sign makes a key on P-256 and a certificate for it, signed by ca, or by
// itself without one. Both come as PEM.
func sign(template *x509.Certificate, ca *tls.Certificate) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	parent, signer := template, crypto.PrivateKey(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return encodePEM("CERTIFICATE", cert), encodePEM("PRIVATE KEY", private), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// write replaces a file in one step, so that no reader sees half of it.
func (s *store) write(name string, content []byte) error {
	tmp, err := os.CreateTemp(s.dir, "."+name+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err := tmp.Write(content); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), s.path(name))
}

package remote

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// Authority signs certificates. It lives in memory; several servers may share one.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

const life = 365 * 24 * time.Hour

// NewAuthority makes an authority that is valid from a year ago for two years.
func NewAuthority() (*Authority, error) {
	now := time.Now()
	a := &Authority{}
	pair, err := a.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "remote test authority"},
		NotBefore:             now.Add(-life),
		NotAfter:              now.Add(life),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	})
	if err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(crypto.Signer)
	return a, nil
}

// PEM is the certificate of the authority, for a file of trusted ones.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Roots trusts this authority and nobody else.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// leaf makes a server's certificate for names and loopback, ending at end.
func (a *Authority) leaf(end time.Time, loopback bool, names ...string) (tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotBefore:   time.Now().Add(-life),
		NotAfter:    end,
		DNSNames:    slices.Clone(names),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if loopback {
		template.DNSNames = append(template.DNSNames, "localhost")
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	return a.sign(template)
}

// sign makes a key and a certificate for it; the first one of an authority signs itself.
func (a *Authority) sign(template *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return tls.Certificate{}, err
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// credentials are the TLS configurations by mode.
type credentials map[TLSMode]*tls.Config

// newCredentials makes the certificates of all modes that get as far as showing one.
func newCredentials(a *Authority, cfg *Config) (credentials, error) {
	stranger, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	names := append([]string{cfg.Hostname}, cfg.Names...)
	all := credentials{}
	for mode, of := range map[TLSMode]struct {
		by    *Authority
		end   time.Time
		names []string
	}{
		TLSGood:      {a, now.Add(life), names},
		TLSWrongName: {a, now.Add(life), []string{"somebody.else.test"}},
		TLSExpired:   {a, now.Add(-24 * time.Hour), names},
		TLSUntrusted: {stranger, now.Add(life), names},
	} {
		cert, err := of.by.leaf(of.end, mode != TLSWrongName, of.names...)
		if err != nil {
			return nil, fmt.Errorf("make a certificate: %w", err)
		}
		all[mode] = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	all[TLSInjected] = all[TLSGood]
	old := all[TLSGood].Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	all[TLSOld] = old
	return all, nil
}

package certs

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

// checkEvery is how often a running server looks whether the certificate must
// be replaced, at the next handshake.
const checkEvery = 10 * time.Second

// Pair is a certificate and its key, kept current.
type Pair struct {
	// CAFile is the PEM file of the authority that clients may trust, "" for a
	// certificate from files.
	CAFile string
	// CertFile and KeyFile are the PEM files in use.
	CertFile, KeyFile string

	clk clock.Clock
	// refresh returns a certificate if the present one must be replaced, else nil.
	refresh func() (*tls.Certificate, error)

	mu      sync.Mutex
	current *tls.Certificate
	checked time.Time
	fault   error
}

// TLSConfig returns a configuration for servers: TLS 1.2 or later, no client
// certificates, and whatever certificate is current at each handshake.
func (p *Pair) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.NoClientCert, GetCertificate: p.GetCertificate}
}

// GetCertificate returns the current certificate for tls.Config. When it
// cannot be replaced the old one stays in use; see Err.
func (p *Pair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if clock.Since(p.clk, p.checked) >= checkEvery {
		p.check()
	}
	return p.current, nil
}

// NotAfter is when the current certificate ends.
func (p *Pair) NotAfter() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.Leaf.NotAfter
}

// Err is why the last look at the files or the last renewal failed, nil when
// it went well.
func (p *Pair) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// check replaces the certificate if that is due. p.mu is held.
func (p *Pair) check() {
	p.checked = p.clk.Now()
	fresh, err := p.refresh()
	p.fault = err
	if fresh != nil {
		p.current = fresh
	}
}

// start takes the first certificate, without which there is no Pair.
func (p *Pair) start() (*Pair, error) {
	p.check()
	if p.fault != nil {
		return nil, p.fault
	}
	return p, nil
}

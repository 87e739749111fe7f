package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

// Files returns the certificate chain and key of two PEM files, which are read
// again when either changes. While the new files do not fit together, as
// between two renames, the old certificate stays in use.
func Files(certFile, keyFile string, clk clock.Clock) (*Pair, error) {
	p := &Pair{CertFile: certFile, KeyFile: keyFile, clk: clk}
	var seen stamp
	p.refresh = func() (*tls.Certificate, error) {
		now, err := stampOf(certFile, keyFile)
		if err != nil || now == seen {
			return nil, err
		}
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
		}
		seen = now
		return &cert, nil
	}
	return p.start()
}

// stamp tells one state of two files from another.
type stamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

func stampOf(certFile, keyFile string) (stamp, error) {
	cert, err := os.Stat(certFile)
	if err != nil {
		return stamp{}, fmt.Errorf("certificate file: %w", err)
	}
	key, err := os.Stat(keyFile)
	if err != nil {
		return stamp{}, fmt.Errorf("key file: %w", err)
	}
	return stamp{cert.ModTime(), key.ModTime(), cert.Size(), key.Size()}, nil
}

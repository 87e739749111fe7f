package domain

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// signatureLife is how long a signature holds (O-52): longer than any queue keeps a letter.
	signatureLife = 14 * 24 * time.Hour
	// signersFor is how long private keys stay decrypted in memory: another node's change, and a file's, is known after it.
	signersFor = 10 * time.Second
	// copySize is the piece in which a body passes the signers.
	copySize = 64 << 10
)

// Sign gives the DKIM-Signature fields for a message, with CRLF ends, to be put before it: RSA on top, then Ed25519 (O-50). It gives
// "" when the domain has no active key. A key that exists and cannot be read gives fault.Unavailable "signing-key-unavailable": the
// message must wait. The message has CRLF line ends; at is the moment of signing.
//
// The body is read once, whatever the number of signatures. go-msgauth writes the t= tag from the machine's clock.
func (s *Service) Sign(ctx context.Context, id mail.DomainID, at time.Time, message io.ReaderAt, size int64) (headers string, err error) {
	keys, err := s.signers(ctx, id)
	if err != nil || len(keys) == 0 {
		return "", err
	}
	h, err := readSigned(message, size)
	if err != nil {
		return "", err
	}
	var signers []*dkim.Signer
	var writers []io.Writer
	defer func() {
		for _, signer := range signers { // ends its goroutine; closing it twice does no harm
			_ = signer.Close()
		}
	}()
	for _, k := range keys {
		signer, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: k.domain, Selector: k.selector, Signer: k.private, Hash: crypto.SHA256, HeaderKeys: h.names,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
			Expiration: at.Add(signatureLife),
		})
		if err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
		signers, writers = append(signers, signer), append(writers, signer)
	}
	if err := feed(io.MultiWriter(writers...), h, message, size); err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	for _, signer := range signers {
		if err := signer.Close(); err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
		headers += signer.Signature()
	}
	return headers, nil
}

// feed gives the signers what they sign of the header, and the body.
func feed(w io.Writer, h signedHeader, message io.ReaderAt, size int64) error {
	if _, err := w.Write(append(h.text, "\r\n"...)); err != nil {
		return err
	}
	rest := size - h.body
	_, err := io.CopyBuffer(w, struct{ io.Reader }{io.NewSectionReader(message, h.body, rest)}, make([]byte, min(max(rest, 1), copySize)))
	return err
}

// signingKey is an active key, decrypted.
type signingKey struct {
	domain, selector string
	rsa              bool
	private          crypto.Signer
}

// signers gives the active keys of a domain, RSA first.
func (s *Service) signers(ctx context.Context, id mail.DomainID) ([]signingKey, error) {
	now := s.clk.Now()
	keys, epoch, ok := s.signing.get(id, now)
	if ok {
		return keys, nil
	}
	rows, err := manyKeys(ctx, s.pool, sqlActiveDKIMKeys, id)
	if err != nil {
		return nil, pg.Fault(err)
	}
	for _, row := range rows {
		private, err := s.vault(row.Source).open(row.DKIMKey, row.sealed)
		if err != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "key_unavailable: a DKIM key cannot be read; mail of the domain waits",
				slog.String("domain", row.DomainName), slog.String("selector", row.Selector), slog.Any("error", err))
			return nil, fault.Wrap(err, fault.Unavailable, "signing-key-unavailable", "the key with which mail of this domain is signed cannot be read now")
		}
		keys = append(keys, signingKey{domain: row.DomainName, selector: row.Selector, rsa: row.Algorithm.RSA(), private: private})
	}
	slices.SortFunc(keys, func(a, b signingKey) int {
		if a.rsa == b.rsa {
			return 0
		} else if a.rsa {
			return -1
		}
		return 1
	})
	s.signing.put(id, keys, now.Add(signersFor), epoch)
	return keys, nil
}

// signing remembers decrypted keys for some seconds. What was read before a change is not remembered after it.
type signing struct {
	mu      sync.Mutex
	epoch   int64
	domains map[mail.DomainID]signingEntry
}

type signingEntry struct {
	keys  []signingKey
	until time.Time
}

func (c *signing) get(id mail.DomainID, now time.Time) (keys []signingKey, epoch int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.domains[id]; ok && now.Before(e.until) {
		return e.keys, c.epoch, true
	}
	return nil, c.epoch, false
}

func (c *signing) put(id mail.DomainID, keys []signingKey, until time.Time, epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	if len(c.domains) >= hostedMost {
		clear(c.domains)
	}
	c.domains[id] = signingEntry{keys: keys, until: until}
}

func (c *signing) drop(id mail.DomainID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	delete(c.domains, id)
}

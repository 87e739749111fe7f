package domain

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Algorithm is what a DKIM key signs with.
type Algorithm string

// The algorithms. The larger RSA keys come by import only: they sign several times slower, and some receivers check no more than
// 2048 bits (RFC 6376 §3.3.3).
const (
	RSA2048 Algorithm = "rsa2048"
	RSA3072 Algorithm = "rsa3072"
	RSA4096 Algorithm = "rsa4096"
	Ed25519 Algorithm = "ed25519"
)

// RSA reports whether the key is an RSA key of any size.
func (a Algorithm) RSA() bool { return a != Ed25519 }

// record is the k= tag.
func (a Algorithm) record() string {
	if a.RSA() {
		return "rsa"
	}
	return "ed25519"
}

// KeyState is where a DKIM key is on its way (mail-rules O-51).
type KeyState string

// The states of a key. Pending: its record has to be published. Active: it signs. Retiring: it signs no more, and its record has to
// stay while signed mail is still on its way. Revoked: for ever worthless; the private key is gone, and its record says so.
const (
	KeyPending  KeyState = "pending"
	KeyActive   KeyState = "active"
	KeyRetiring KeyState = "retiring"
	KeyRevoked  KeyState = "revoked"
)

// mayBecome reports whether a key may go from one state to another.
func (s KeyState) mayBecome(next KeyState) bool {
	switch next {
	case KeyActive:
		return s == KeyPending || s == KeyRetiring
	case KeyRetiring:
		return s == KeyActive
	case KeyRevoked:
		return s != KeyRevoked
	case KeyPending:
	}
	return false
}

// KeySource says where a private key lies.
type KeySource string

// The sources. Database: sealed in the key's row. File: a PEM file below the data directory, which the operator owns.
const (
	SourceDatabase KeySource = "database"
	SourceFile     KeySource = "file"
)

// DKIMKey is a key with which mail of a domain is signed, without its private part.
type DKIMKey struct {
	ID         mail.DKIMKeyID
	DomainID   mail.DomainID
	DomainName string
	// Selector names the key below _domainkey of the domain. It never names another one.
	Selector  string
	Algorithm Algorithm
	Source    KeySource
	State     KeyState
	// Public is what the p= tag of the record holds: a SubjectPublicKeyInfo for RSA (RFC 6376 §3.6.1), 32 octets for Ed25519 (RFC
	// 8463 §4).
	Public []byte
	// Available says that the private key can be read now. Mail of a domain whose active key cannot be read waits.
	Available bool
	// Version rises with each change; it is the ETag.
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ActivatedAt *time.Time
	RetiredAt   *time.Time
	RevokedAt   *time.Time
}

// RecordName is the name of the TXT record without the last dot.
func (k DKIMKey) RecordName() string { return k.Selector + "._domainkey." + k.DomainName }

// RecordValue is the text of the TXT record. That of a revoked key has an empty p=, which tells receivers so (RFC 6376 §3.6.1).
func (k DKIMKey) RecordValue() string {
	public := ""
	if k.State != KeyRevoked {
		public = base64.StdEncoding.EncodeToString(k.Public)
	}
	return "v=DKIM1; k=" + k.Algorithm.record() + "; p=" + public
}

// KeyChoice says which keys a new domain gets.
type KeyChoice string

// The choices. The empty one is the service's default: both where keys can be kept.
const (
	KeysBoth    KeyChoice = "both"
	KeysRSA     KeyChoice = "rsa"
	KeysEd25519 KeyChoice = "ed25519"
	KeysNone    KeyChoice = "none"
)

func (c KeyChoice) algorithms() ([]Algorithm, error) {
	switch c {
	case KeysBoth:
		return []Algorithm{RSA2048, Ed25519}, nil
	case KeysRSA:
		return []Algorithm{RSA2048}, nil
	case KeysEd25519:
		return []Algorithm{Ed25519}, nil
	case KeysNone:
		return nil, nil
	}
	return nil, fault.New(fault.Invalid, "validation-failed", "dkim must be both, rsa, ed25519 or none").At("dkim")
}

// nameMost is the size of a domain name in text (RFC 1035 §2.3.4).
const nameMost = 253

// parseSelector gives the stored form of a selector: lower case labels of letters, digits and inner hyphens (RFC 6376 §3.1).
func parseSelector(text, domain string) (string, error) {
	selector := strings.ToLower(text)
	fail := func(why string) (string, error) {
		return "", fault.New(fault.Invalid, "validation-failed", "the selector %s", why).At("selector")
	}
	if len(selector)+len("._domainkey.")+len(domain) > nameMost {
		return fail("makes a name of more than 253 characters")
	}
	for label := range strings.SplitSeq(selector, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fail("must be labels of 1 to 63 letters, digits and inner hyphens, joined by dots")
		}
		for _, c := range []byte(label) {
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return fail("must be labels of letters, digits and hyphens")
			}
		}
	}
	return selector, nil
}

// freeSelector makes a selector of the month, the kind and a number (O-51) that was never used in the domain.
func freeSelector(a Algorithm, now time.Time, used []string) string {
	kind := "e"
	if a.RSA() {
		kind = "r"
	}
	taken := make(map[string]bool, len(used))
	for _, s := range used {
		taken[s] = true
	}
	for n := 1; ; n++ {
		if s := fmt.Sprintf("%s%s%d", now.UTC().Format("200601"), kind, n); !taken[s] {
			return s
		}
	}
}

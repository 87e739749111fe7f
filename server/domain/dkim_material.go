package domain

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// pemMost bounds the text of a private key: one of 4096 bits has about 3.3 KB.
const pemMost = 16 << 10

// generate makes a private key. An RSA key takes about a tenth of a second.
func generate(a Algorithm) (crypto.Signer, error) {
	switch a {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case RSA3072, RSA4096:
	}
	return nil, fault.New(fault.Invalid, "validation-failed", "algorithm must be rsa2048 or ed25519; larger RSA keys can be imported").At("algorithm")
}

// errKeyText never says what was in the text.
var errKeyText = errors.New("not one PEM block with an RSA key of 2048, 3072 or 4096 bits or an Ed25519 key, as PKCS #8 or PKCS #1")

// parsePrivate reads a private key of one PEM block: PKCS #8 (RFC 5958) or PKCS #1 (RFC 8017 §A.1.2), not encrypted.
func parsePrivate(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || len(text) > pemMost {
		return nil, errKeyText
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		err = errKeyText
	}
	if err != nil {
		return nil, errKeyText
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errKeyText
	}
	if _, err := algorithmOf(private); err != nil {
		return nil, errKeyText
	}
	return private, nil
}

// algorithmOf names the algorithm of a key, for those that we sign with.
func algorithmOf(private crypto.Signer) (Algorithm, error) {
	switch public := private.Public().(type) {
	case *rsa.PublicKey:
		switch public.N.BitLen() {
		case 2048:
			return RSA2048, nil
		case 3072:
			return RSA3072, nil
		case 4096:
			return RSA4096, nil
		}
	case ed25519.PublicKey:
		return Ed25519, nil
	}
	return "", errKeyText
}

// publicOf gives what the record's p= holds. Receivers read a SubjectPublicKeyInfo for RSA, whatever the grammar of RFC 6376 says
// (erratum 3017), and the bare key for Ed25519 (RFC 8463 §4).
func publicOf(private crypto.Signer) ([]byte, error) {
	if public, ok := private.Public().(ed25519.PublicKey); ok {
		return public, nil
	}
	return x509.MarshalPKIXPublicKey(private.Public())
}

// encodePrivate gives the PKCS #8 form as DER.
func encodePrivate(private crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return der, nil
}

// decodePrivate reads what encodePrivate wrote.
func decodePrivate(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("decode a private key: %w", err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errKeyText
	}
	return private, nil
}

// pemOf gives the PKCS #8 form as PEM text.
func pemOf(private crypto.Signer) ([]byte, error) {
	der, err := encodePrivate(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

const (
	// KeySize is the size of a master key in octets.
	KeySize = 32

	version   = 1
	idSize    = 8
	nonceSize = 12
	tagSize   = 16
	// headSize is what stands in front of the ciphertext: version, key id, nonce.
	headSize = 1 + idSize + nonceSize
)

// The reasons why something cannot be opened or sealed. Use errors.Is.
var (
	// ErrNoKey says that the key is not among the known ones; with the key the secret opens.
	ErrNoKey = errors.New("the master key is not available")
	// ErrTampered says that the key is known and the bytes are not what was sealed for this place.
	ErrTampered = errors.New("the sealed bytes were changed or belong elsewhere")
)

// Key is a master key.
type Key [KeySize]byte

// KeyID is the fingerprint of a key. It reveals nothing about the key.
type KeyID [idSize]byte

// String gives the id in hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ID gives the fingerprint.
func (k Key) ID() KeyID {
	sum := sha256.Sum256(append([]byte("mailserver master key\x00"), k[:]...))
	return KeyID(sum[:idSize])
}

// Box seals with the newest of its keys and opens with all of them. It does not change, so many goroutines may use it. A nil Box
// has no key.
type Box struct {
	newest KeyID
	keys   map[KeyID]cipher.AEAD
}

// New gives a box with these keys, the newest first. Without a key it seals and opens nothing.
func New(keys ...Key) (*Box, error) {
	b := &Box{keys: make(map[KeyID]cipher.AEAD, len(keys))}
	for _, k := range slices.Backward(keys) {
		block, err := aes.NewCipher(k[:])
		if err != nil {
			return nil, fmt.Errorf("master key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("master key: %w", err)
		}
		b.newest = k.ID()
		b.keys[b.newest] = aead
	}
	return b, nil
}

// Ready gives nil when the box can seal, else ErrNoKey.
func (b *Box) Ready() error {
	if b == nil || len(b.keys) == 0 {
		return ErrNoKey
	}
	return nil
}

// Knows reports whether the box has the key.
func (b *Box) Knows(id KeyID) bool { return b != nil && b.keys[id] != nil }

// Seal encrypts plain for the place that aad names (Place). The result is 37 octets longer. It gives ErrNoKey without a key.
func (b *Box) Seal(aad string, plain []byte) ([]byte, error) {
	if err := b.Ready(); err != nil {
		return nil, err
	}
	out := make([]byte, headSize, headSize+len(plain)+tagSize)
	out[0] = version
	copy(out[1:], b.newest[:])
	_, _ = rand.Read(out[1+idSize:]) // never fails since Go 1.24: it ends the program instead
	return b.keys[b.newest].Seal(out, out[1+idSize:headSize], plain, additional(out, aad)), nil
}

// Open decrypts what Seal made for the same aad. It gives ErrNoKey for a key that the box does not have, ErrTampered for
// anything else that does not open.
func (b *Box) Open(aad string, sealed []byte) ([]byte, error) {
	id, ok := IDOf(sealed)
	if !ok {
		return nil, ErrTampered
	}
	if !b.Knows(id) {
		return nil, fmt.Errorf("%w: key id %s", ErrNoKey, id)
	}
	plain, err := b.keys[id].Open(nil, sealed[1+idSize:headSize], sealed[headSize:], additional(sealed, aad))
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}

// additional are the data that are authenticated and not encrypted: the version, the key id and the place.
func additional(sealed []byte, aad string) []byte {
	return append(slices.Clone(sealed[:1+idSize]), aad...)
}

// IDOf gives the id of the key with which something was sealed; false when it was not sealed by this package.
func IDOf(sealed []byte) (KeyID, bool) {
	if len(sealed) < headSize+tagSize || sealed[0] != version {
		return KeyID{}, false
	}
	return KeyID(sealed[1 : 1+idSize]), true
}

// Place names a field of a row for Seal and Open. None of the parts may contain a slash.
func Place(table, row, column string) string { return table + "/" + row + "/" + column }

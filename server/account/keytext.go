package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math/big"
	"strings"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// Mode says what a key's mail does: live mail is delivered, test mail ends in the built-in test network.
type Mode string

// The modes of an API key.
const (
	ModeLive Mode = "live"
	ModeTest Mode = "test"
)

// The text of a key is "ms_live_" or "ms_test_", the key's id in 22 base62 digits, a secret of 32 and a CRC-32 of 6. The
// fixed prefix lets secret scanners find leaked keys; the CRC tells a mistyped key without asking the database.
const (
	base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	keyIDLen     = 22
	keySecretLen = 32
	keyCheckLen  = 6
	keyPrefixLen = len("ms_live_")
	keyTextLen   = keyPrefixLen + keyIDLen + keySecretLen + keyCheckLen
)

// keyText is a key's text taken apart.
type keyText struct {
	mode     Mode
	publicID string
	secret   string
}

func (k keyText) prefix() string { return "ms_" + string(k.mode) + "_" }

// String gives the whole text, for the one time that it is shown.
func (k keyText) String() string {
	body := k.prefix() + k.publicID + k.secret
	return body + keyCheck(body)
}

// secretHash is what is stored. The secret has 190 random bits, so a fast hash is enough (S-25).
func (k keyText) secretHash() []byte {
	sum := sha256.Sum256([]byte(k.secret))
	return sum[:]
}

// newKeyText makes the text of a new key.
func newKeyText(id mail.KeyID, mode Mode) keyText {
	return keyText{mode: mode, publicID: base62(id[:], keyIDLen), secret: randomBase62(keySecretLen)}
}

// parseKeyText takes a key's text apart. It says false for anything that was never a key.
func parseKeyText(text string) (keyText, bool) {
	if len(text) != keyTextLen {
		return keyText{}, false
	}
	k := keyText{
		publicID: text[keyPrefixLen : keyPrefixLen+keyIDLen],
		secret:   text[keyPrefixLen+keyIDLen : keyTextLen-keyCheckLen],
	}
	switch text[:keyPrefixLen] {
	case "ms_live_":
		k.mode = ModeLive
	case "ms_test_":
		k.mode = ModeTest
	default:
		return keyText{}, false
	}
	ok := strings.Trim(text[keyPrefixLen:], base62Digits) == "" && keyCheck(text[:keyTextLen-keyCheckLen]) == text[keyTextLen-keyCheckLen:]
	return k, ok
}

func keyCheck(body string) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc32.ChecksumIEEE([]byte(body)))
	return base62(b[:], keyCheckLen)
}

// base62 writes a big-endian number in n digits, enough for all its bits.
func base62(raw []byte, n int) string {
	out := make([]byte, n)
	v, base, digit := new(big.Int).SetBytes(raw), big.NewInt(62), new(big.Int)
	for i := n - 1; i >= 0; i-- {
		v.DivMod(v, base, digit)
		out[i] = base62Digits[digit.Int64()]
	}
	return string(out)
}

// randomBase62 gives n digits, each of the 62 equally likely.
func randomBase62(n int) string {
	out := make([]byte, 0, n)
	var buf [64]byte
	for len(out) < n {
		_, _ = rand.Read(buf[:]) // never fails since Go 1.24: it ends the program instead
		for _, b := range buf {
			// 248 is the largest multiple of 62 in a byte; what lies above would favour the first digits.
			if b < 248 && len(out) < n {
				out = append(out, base62Digits[b%62])
			}
		}
	}
	return string(out)
}

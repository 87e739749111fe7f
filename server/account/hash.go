package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

// Lengths of what argon2id is given and gives, in bytes (mail-rules §6.5).
const (
	saltBytes = 16
	keyBytes  = 32
)

// Bounds of the hashes that may be brought along, so that nobody stores one which takes a minute or a gigabyte to check.
const (
	maxArgonTime      = 10
	maxArgonMemoryKiB = 128 << 10
	maxArgonThreads   = 16
	maxBcryptCost     = 14
	maxCryptRounds    = 1_000_000
	maxHashText       = 512
)

// Argon2 is the cost of a password hash (RFC 9106 §3.1). Zero fields take the default.
type Argon2 struct {
	// Time is the number of passes, default 3.
	Time uint32
	// MemoryKiB is the memory in KiB, default 65536.
	MemoryKiB uint32
	// Threads is the number of lanes, default 4.
	Threads uint8
}

func (a Argon2) orDefault() Argon2 {
	if a.Time == 0 {
		a.Time = 3
	}
	if a.MemoryKiB == 0 {
		a.MemoryKiB = 64 << 10
	}
	if a.Threads == 0 {
		a.Threads = 4
	}
	return a
}

// hash gives the PHC string of a new random salt.
func (a Argon2) hash(password string) string {
	var salt [saltBytes]byte
	_, _ = rand.Read(salt[:]) // never fails since Go 1.24: it ends the program instead
	key := argon2.IDKey(normal(password), salt[:], a.Time, a.MemoryKiB, a.Threads, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.MemoryKiB, a.Time, a.Threads,
		b64.EncodeToString(salt[:]), b64.EncodeToString(key))
}

// normal is the form in which our own hashes are taken: NFC, so that the same letters typed on two keyboards are one password.
func normal(password string) []byte { return norm.NFC.Bytes([]byte(password)) }

// ErrHash is wrapped by every refusal of a stored or given password hash.
var ErrHash = errors.New("not a usable password hash")

// passwordHash is a parsed hash of any of the three kinds. The zero value matches nothing.
type passwordHash struct {
	text  string
	argon Argon2 // zero for foreign hashes
	salt  []byte
	key   []byte
	crypt cryptParams
}

// parseHash reads an argon2id PHC string, a bcrypt hash or a sha512-crypt hash.
func parseHash(text string) (passwordHash, error) {
	h := passwordHash{text: text}
	var err error
	switch {
	case len(text) > maxHashText:
		err = fmt.Errorf("%w: longer than %d characters", ErrHash, maxHashText)
	case strings.HasPrefix(text, "$argon2id$"):
		err = h.parseArgon()
	case strings.HasPrefix(text, "$2"):
		err = checkBcrypt(text)
	case strings.HasPrefix(text, cryptPrefix):
		h.crypt, err = parseCrypt(text)
	default:
		err = fmt.Errorf("%w: want argon2id (PHC), bcrypt or sha512-crypt", ErrHash)
	}
	return h, err
}

func (h *passwordHash) parseArgon() error {
	parts := strings.Split(h.text, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return fmt.Errorf("%w: want $argon2id$v=19$m=…,t=…,p=…$salt$key", ErrHash)
	}
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return fmt.Errorf("%w: argon2id needs m, t and p", ErrHash)
	}
	memory, err1 := phcNumber(params[0], "m=", maxArgonMemoryKiB)
	passes, err2 := phcNumber(params[1], "t=", maxArgonTime)
	lanes, err3 := phcNumber(params[2], "p=", maxArgonThreads)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	h.argon = Argon2{Time: uint32(passes), MemoryKiB: uint32(memory), Threads: uint8(lanes)}
	h.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return fmt.Errorf("%w: bad salt or key of argon2id", ErrHash)
	}
	return nil
}

func phcNumber(s, name string, most int) (int, error) {
	digits, ok := strings.CutPrefix(s, name)
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil || n < 1 || n > uint64(most) {
		return 0, fmt.Errorf("%w: argon2id parameter %s must be 1 to %d", ErrHash, strings.TrimSuffix(name, "="), most)
	}
	return int(n), nil
}

func checkBcrypt(text string) error {
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil || len(text) != 60 {
		return fmt.Errorf("%w: bad bcrypt", ErrHash)
	}
	if cost > maxBcryptCost {
		return fmt.Errorf("%w: bcrypt cost above %d", ErrHash, maxBcryptCost)
	}
	return nil
}

// matches compares in constant time. Foreign hashes were taken from the bytes as typed.
func (h passwordHash) matches(password string) bool {
	switch {
	case h.key != nil:
		key := argon2.IDKey(normal(password), h.salt, h.argon.Time, h.argon.MemoryKiB, h.argon.Threads, uint32(len(h.key)))
		return subtle.ConstantTimeCompare(key, h.key) == 1
	case h.crypt.digest != "":
		return subtle.ConstantTimeCompare([]byte(h.crypt.hash(password)), []byte(h.crypt.digest)) == 1
	case h.text != "":
		return bcrypt.CompareHashAndPassword([]byte(h.text), []byte(password)) == nil
	}
	return false
}

// dummyHash costs as much to compare as a user's and matches nothing. Unknown users are compared with it (S-21).
func dummyHash(cost Argon2) passwordHash {
	h := passwordHash{argon: cost, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
	_, _ = rand.Read(h.salt) // never fails since Go 1.24: it ends the program instead
	_, _ = rand.Read(h.key)
	return h
}

// outdated reports whether the hash should be taken anew with want at the next sign-in.
func (h passwordHash) outdated(want Argon2) bool {
	return h.argon != want || len(h.salt) < saltBytes || len(h.key) != keyBytes
}

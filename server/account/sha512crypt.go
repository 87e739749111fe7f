package account

import (
	"crypto/sha512"
	"fmt"
	"strconv"
	"strings"
)

// The text form "$6$[rounds=N$]salt$digest", which crypt(3) of Linux writes into /etc/shadow.
const (
	cryptPrefix   = "$6$"
	cryptDigits   = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	cryptSaltMax  = 16
	cryptRounds   = 5000
	cryptLeast    = 1000
	cryptTextSize = 86
)

// cryptParams is a parsed sha512-crypt hash.
type cryptParams struct {
	rounds int
	salt   string
	digest string
}

func parseCrypt(text string) (cryptParams, error) {
	p := cryptParams{rounds: cryptRounds}
	rest := strings.TrimPrefix(text, cryptPrefix)
	if digits, ok := strings.CutPrefix(rest, "rounds="); ok {
		var err error
		digits, rest, _ = strings.Cut(digits, "$")
		p.rounds, err = strconv.Atoi(digits)
		if err != nil || p.rounds < cryptLeast || p.rounds > maxCryptRounds {
			return p, fmt.Errorf("%w: sha512-crypt rounds must be %d to %d", ErrHash, cryptLeast, maxCryptRounds)
		}
	}
	var ok bool
	p.salt, p.digest, ok = strings.Cut(rest, "$")
	if !ok || len(p.salt) > cryptSaltMax || len(p.digest) != cryptTextSize || strings.Trim(p.digest, cryptDigits) != "" {
		return p, fmt.Errorf("%w: want $6$salt$ and %d characters", ErrHash, cryptTextSize)
	}
	return p, nil
}

// hash gives the digest text of the password with the salt and rounds of p.
func (p cryptParams) hash(password string) string {
	pw, salt := []byte(password), []byte(p.salt)
	sum := cryptStart(pw, salt)
	dp := sha512.Sum512(cycle(pw, len(pw)*len(pw)))
	ps := cycle(dp[:], len(pw))
	ds := sha512.Sum512(cycle(salt, len(salt)*(16+int(sum[0]))))
	ss := cycle(ds[:], len(salt))
	buf := make([]byte, 0, 2*len(ps)+len(ss)+sha512.Size)
	for i := range p.rounds {
		buf = buf[:0]
		first, last := sum[:], ps
		if i%2 == 1 {
			first, last = ps, sum[:]
		}
		buf = append(buf, first...)
		if i%3 != 0 {
			buf = append(buf, ss...)
		}
		if i%7 != 0 {
			buf = append(buf, ps...)
		}
		buf = append(buf, last...)
		sum = sha512.Sum512(buf)
	}
	return cryptText(sum)
}

// cryptStart mixes password and salt before the rounds.
func cryptStart(pw, salt []byte) [sha512.Size]byte {
	b := sha512.New()
	b.Write(pw)
	b.Write(salt)
	b.Write(pw)
	alternate := b.Sum(nil)
	a := sha512.New()
	a.Write(pw)
	a.Write(salt)
	a.Write(cycle(alternate, len(pw)))
	for n := len(pw); n > 0; n >>= 1 {
		if n&1 == 1 {
			a.Write(alternate)
		} else {
			a.Write(pw)
		}
	}
	return [sha512.Size]byte(a.Sum(nil))
}

// cycle repeats b until it fills n bytes.
func cycle(b []byte, n int) []byte {
	out := make([]byte, 0, n)
	for len(out) < n {
		out = append(out, b[:min(len(b), n-len(out))]...)
	}
	return out
}

// cryptText writes the digest in crypt's own base64: little end first, the bytes taken 21 apart.
func cryptText(sum [sha512.Size]byte) string {
	var out strings.Builder
	write := func(v uint32, n int) {
		for range n {
			out.WriteByte(cryptDigits[v&63])
			v >>= 6
		}
	}
	a, b, c := 0, 21, 42
	for range 21 {
		write(uint32(sum[a])<<16|uint32(sum[b])<<8|uint32(sum[c]), 4)
		a, b, c = b+1, c+1, a+1
	}
	write(uint32(sum[63]), 2)
	return out.String()
}

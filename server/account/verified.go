package account

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// Bounds of the cache of verified passwords (mail-rules S-20).
const (
	verifiedIdle = 5 * time.Minute
	verifiedLife = time.Hour
	verifiedMost = 10_000
)

// verified remembers for a short time which password was right for which user, so that clients which reconnect cost no hash.
// It holds an HMAC under a key that no other process has, never the password. Only successes are kept. The user's id and the
// stored hash are part of what is remembered: no user can profit from another's entry, and a changed password finds nothing.
type verified struct {
	key     []byte
	mu      sync.Mutex
	entries map[[sha256.Size]byte]*list.Element
	recent  *list.List // of *verifiedEntry, most recent first
}

type verifiedEntry struct {
	mac   [sha256.Size]byte
	user  mail.UserID
	since time.Time
	used  time.Time
}

func newVerified() *verified {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails since Go 1.24: it ends the program instead
	return &verified{key: key, entries: make(map[[sha256.Size]byte]*list.Element), recent: list.New()}
}

// mac binds password, user and the version of the stored hash. Each part has a fixed length or ends the input.
func (v *verified) mac(user mail.UserID, storedHash, password string) [sha256.Size]byte {
	version := sha256.Sum256([]byte(storedHash))
	h := hmac.New(sha256.New, v.key)
	h.Write(user[:])
	h.Write(version[:])
	h.Write([]byte(password))
	return [sha256.Size]byte(h.Sum(nil))
}

// has reports whether the password was verified lately and prolongs the entry, but never beyond an hour after its hash ran.
func (v *verified) has(now time.Time, user mail.UserID, storedHash, password string) bool {
	mac := v.mac(user, storedHash, password)
	v.mu.Lock()
	defer v.mu.Unlock()
	el, ok := v.entries[mac]
	if !ok {
		return false
	}
	e := entryOf(el)
	if now.Sub(e.used) >= verifiedIdle || now.Sub(e.since) >= verifiedLife {
		v.drop(el)
		return false
	}
	e.used = now
	v.recent.MoveToFront(el)
	return true
}

// add remembers a password that a hash has just proved right.
func (v *verified) add(now time.Time, user mail.UserID, storedHash, password string) {
	mac := v.mac(user, storedHash, password)
	v.mu.Lock()
	defer v.mu.Unlock()
	if el, ok := v.entries[mac]; ok {
		v.drop(el)
	}
	for v.recent.Len() >= verifiedMost {
		v.drop(v.recent.Back())
	}
	v.entries[mac] = v.recent.PushFront(&verifiedEntry{mac: mac, user: user, since: now, used: now})
}

// forget drops all that is remembered of the user.
func (v *verified) forget(user mail.UserID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for el := v.recent.Front(); el != nil; {
		next := el.Next()
		if entryOf(el).user == user {
			v.drop(el)
		}
		el = next
	}
}

func (v *verified) drop(el *list.Element) {
	v.recent.Remove(el)
	delete(v.entries, entryOf(el).mac)
}

func entryOf(el *list.Element) *verifiedEntry {
	e, _ := el.Value.(*verifiedEntry) // nothing else is ever put in
	return e
}

package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// Lives of a session (mail-rules §6.5, S-23).
const (
	sessionIdle  = 7 * 24 * time.Hour
	sessionLife  = 30 * 24 * time.Hour
	refreshGrace = 10 * time.Second
	agentMost    = 256
	sessionKept  = 24 * time.Hour // after its end, for the audit trail
)

// SessionInfo is what is known of the browser.
type SessionInfo struct {
	UserAgent string
	Remote    netip.Addr
	// Protocol is the word for the metrics; "api" when empty.
	Protocol string
}

// Tokens are what a browser gets: the access token stays in memory, the refresh token in a cookie.
type Tokens struct {
	Session mail.SessionID
	// Access is a JWT that lives for ExpiresIn.
	Access    string
	ExpiresIn time.Duration
	// Refresh is opaque, may be used once, and is worth nothing after RefreshUntil.
	Refresh      string
	RefreshUntil time.Time
}

// session is a row of the table.
type session struct {
	id        mail.SessionID
	account   mail.UserID
	tokenHash []byte
	previous  []byte
	rotatedAt time.Time
	epoch     int
	userAgent string
	remote    string
	createdAt time.Time
	usedAt    time.Time
	expiresAt time.Time
	revokedAt *time.Time
}

// usable reports whether the session has neither been ended nor run out.
func (s session) usable(now time.Time) bool {
	return s.revokedAt == nil && now.Before(s.expiresAt) && now.Before(s.usedAt.Add(sessionIdle))
}

// refreshUntil is when the session runs out if nobody refreshes it.
func (s session) refreshUntil() time.Time {
	if idle := s.usedAt.Add(sessionIdle); idle.Before(s.expiresAt) {
		return idle
	}
	return s.expiresAt
}

// The bytes of a refresh token: the session's id, 256 secret bits, and a tag by which a token of ours is known.
const (
	refreshID    = 16
	refreshValue = 32
	refreshTag   = 16
	refreshBytes = refreshID + refreshValue + refreshTag
)

// refreshToken is a refresh token taken apart. The tag makes any spent token recognisable, however old, so that its return ends
// the session, while a made-up one reaches no row. The successor is computed from the token, so that a client which sends the
// same token twice within the grace gets the same successor (S-23), although only hashes are stored.
type refreshToken struct {
	session mail.SessionID
	value   [refreshValue]byte
}

func newRefreshToken(id mail.SessionID) refreshToken {
	t := refreshToken{session: id}
	_, _ = rand.Read(t.value[:]) // never fails since Go 1.24: it ends the program instead
	return t
}

func (t refreshToken) derive(key []byte, purpose string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	mac.Write(t.session[:])
	mac.Write(t.value[:])
	return [sha256.Size]byte(mac.Sum(nil))
}

func (t refreshToken) text(key []byte) string {
	tag := t.derive(key, "tag ")
	raw := make([]byte, 0, refreshBytes)
	raw = append(raw, t.session[:]...)
	raw = append(raw, t.value[:]...)
	return base64.RawURLEncoding.EncodeToString(append(raw, tag[:refreshTag]...))
}

func (t refreshToken) successor(key []byte) refreshToken {
	return refreshToken{session: t.session, value: t.derive(key, "next ")}
}

// hash is what is stored.
func (t refreshToken) hash() []byte {
	sum := sha256.Sum256(t.value[:])
	return sum[:]
}

// parseRefresh takes a token apart and finds the key with which it was tagged.
func parseRefresh(text string, keys []signer) (t refreshToken, key []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != refreshBytes {
		return t, nil, false
	}
	t.session = mail.SessionID(raw[:refreshID])
	t.value = [refreshValue]byte(raw[refreshID : refreshID+refreshValue])
	for _, k := range keys {
		tag := t.derive(k.refresh, "tag ")
		if hmac.Equal(tag[:refreshTag], raw[refreshID+refreshValue:]) {
			return t, k.refresh, true
		}
	}
	return t, nil, false
}

// agentClass names the family of a browser. A session belongs to one: a token that turns up in another was taken along.
func agentClass(userAgent string) string {
	for _, family := range []struct{ mark, name string }{
		{"Edg/", "edge"},
		{"OPR/", "opera"},
		{"Firefox/", "firefox"},
		{"Chrome/", "chrome"},
		{"CriOS/", "chrome"},
		{"Safari/", "safari"},
	} {
		if strings.Contains(userAgent, family.mark) {
			return family.name
		}
	}
	return "other"
}

// clipAgent bounds what is stored of a user agent.
func clipAgent(userAgent string) string {
	userAgent = strings.ReplaceAll(strings.ToValidUTF8(userAgent, "?"), "\x00", "?")
	if len(userAgent) > agentMost {
		userAgent = strings.ToValidUTF8(userAgent[:agentMost], "")
	}
	return userAgent
}

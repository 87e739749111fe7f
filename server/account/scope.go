package account

import (
	"slices"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// Scope is one right that an API key may hold.
type Scope struct {
	// Name is the word in the key ("domains:write"). "resource:write" includes "resource:read".
	Name string
	// Text says what it allows.
	Text string
	// Whole marks rights over the whole server, and over secrets that only the owner reads: an admin of some domains cannot grant them.
	Whole bool
}

// Scopes lists the rights that exist.
func Scopes() []Scope {
	return []Scope{
		{Name: "domains:read", Text: "List and read domains."},
		{Name: "domains:write", Text: "Create, change and delete domains."},
		{Name: "dkim:read", Text: "List and read DKIM keys, without their private parts."},
		{Name: "dkim:write", Text: "Create, import, activate, retire, revoke and delete DKIM keys."},
		{Name: "dkim:export", Text: "Read private DKIM keys.", Whole: true},
		{Name: "users:read", Text: "List and read users."},
		{Name: "users:write", Text: "Create, change and delete users and set their passwords."},
		{Name: "api-keys:read", Text: "List and read API keys, without their secrets."},
		{Name: "api-keys:write", Text: "Create and revoke API keys with at most the own rights."},
		{Name: "emails:send", Text: "Send email from the key's domains."},
		{Name: "emails:read", Text: "List and read sent email and its events."},
		{Name: "messages:read", Text: "List messages in mailboxes and read their metadata."},
		{Name: "messages:write", Text: "Change flags of, move and delete messages."},
		{Name: "messages:content", Text: "Read bodies, parts and raw bytes of messages."},
		{Name: "mailboxes:read", Text: "List and read mailboxes."},
		{Name: "mailboxes:write", Text: "Create, rename and delete mailboxes."},
		{Name: "events:read", Text: "Read the ledger of events."},
		{Name: "audit:read", Text: "Read the audit log."},
		{Name: "stats:read", Text: "See how the server does: counts, gauges and what waits."},
		{Name: "queue:read", Text: "See the mail that waits and where it goes."},
		{Name: "queue:write", Text: "Retry, hold, release and drop mail that waits."},
		{Name: "sink:read", Text: "Read what the built-in sink kept instead of sending."},
		{Name: "operations:read", Text: "Watch long-running work."},
		{Name: "metrics:read", Text: "Read the server's metrics.", Whole: true},
		{Name: "health:read", Text: "Read the server's health in detail.", Whole: true},
	}
}

// AllScopes gives the names of all rights.
func AllScopes() []string {
	var out []string
	for _, s := range Scopes() {
		out = append(out, s.Name)
	}
	return out
}

func findScope(name string) (Scope, bool) {
	all := Scopes()
	i := slices.IndexFunc(all, func(s Scope) bool { return s.Name == name })
	if i < 0 {
		return Scope{}, false
	}
	return all[i], true
}

// mayGrant reports whether the principal may give the right to a new key.
func mayGrant(p mail.Principal, s Scope) bool {
	if p.IsKey() {
		return p.HasScope(s.Name)
	}
	return p.IsOwner() || !s.Whole
}

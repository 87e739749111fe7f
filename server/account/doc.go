// Package account owns who may come in: users and their passwords, API keys, browser sessions and the tokens of both.
//
// It decides by an explicit mail.Principal who may create, see and change users and keys, so that API, IMAP and SMTP cannot
// differ. Passwords are stored as argon2id; bcrypt and sha512-crypt hashes may be brought along and are replaced at the first
// sign-in. Hashing passes a gate, because each hash costs 64 MiB and a tenth of a second (mail-rules X-9, S-20).
//
// Secrets at rest: of API keys and refresh tokens only SHA-256 is stored. The Ed25519 keys that sign access tokens are sealed with
// the master key (S-35); without it nobody can sign in to a browser session, while passwords and API keys work.
//
// The package must not know mailboxes, aliases or the wire of any protocol. What else is made or removed with a user hangs on
// the hooks OnCreate and OnDelete of Service, which run inside the transaction.
package account

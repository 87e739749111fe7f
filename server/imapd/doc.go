// Package imapd is the edge where people read their mail: IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051) over STARTTLS and over
// TLS from the first octet.
//
// It owns sockets, TLS, the states of a session, what each command means, the session's own numbering of messages, and the exact
// answers. It must not know SQL, files, or what a mailbox is made of: names, messages and flags belong to the mailbox service,
// passwords to Accounts, the grammar of the wire to imapwire.
//
// The way of a command:
//
//	socket → guard (caps of L-31) → link (deadlines) → TLS → imapwire.Reader → dispatch (state, rate) → a verb
//	       → updates (what others did meanwhile) → tagged answer → imapwire.Writer → socket
//
// A session looks at its mailbox through an immutable mailbox.View and never at a moving one: sequence numbers are places in that
// view. Only at the points where RFC 9051 §7.5.1 allows it is a newer view taken, the difference told to the client, and the newer
// one kept. An update therefore cannot be lost, told twice or told at the wrong moment, whoever was woken for it and when (A7):
// a wake-up carries nothing, and whoever comes first computes the difference.
//
// One goroutine belongs to a connection and does all its reading of commands and all its writing. In IDLE a second one waits for
// DONE and does nothing else. An extension is a file: its verbs, its capability, its part of the wire.
package imapd

// Package imapwire is the wire of the IMAP server: it turns bytes into typed commands and values into well-formed responses
// (RFC 3501, RFC 9051 and the extensions the server offers). It speaks the types of go-imap's root package where they can
// say what a client asked for.
//
// It owns the grammar, the bounds on what one command may cost, staying in step with the client after bad input, and the
// encoding of mailbox names. It must not know sessions, mailboxes, users, clocks or deadlines: the engine sets deadlines on
// the connection, decides what a command means, and takes care that only one goroutine writes at a time.
//
// The contract of a Reader: after a command or an *Error the next byte it reads is the first of a line which the client meant
// as a command. Where that cannot be had the error wraps ErrClose and the connection has to be closed.
//
// The contract of a Writer: a line reaches the client whole and well-formed, or the Writer's error is set, nothing more is
// written, and the connection has to be closed.
package imapwire

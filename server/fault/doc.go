// Package fault holds the kinds of error that the program branches on.
//
// Inside the server an error is a kind, a stable code, a text that may be shown to the caller, and a cause that may not.
// Only the edges turn a kind into a protocol answer: api into a problem document, smtpd into a reply code, imapd into NO or
// BAD with a response code. An error that is not a *Error is internal: its text goes to the log and never to the caller.
package fault

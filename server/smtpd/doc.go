// Package smtpd is the edge where mail comes in over SMTP: port 25 from strangers, 587 and 465 from our own users.
//
// It owns sockets, TLS, the order of commands, limits of a session and the exact replies. It must not know what becomes of a
// message: arrivals go to the Arrivals service, a signed-in user's mail to Departures, passwords to Authenticator.
//
// The way of an octet:
//
//	socket → guard (caps of L-30, TLS, early talkers) → wire (lines, deadlines, one sticky error)
//	       → session (screens each command, reads bodies itself) → go-smtp (dialogue of MAIL, RCPT, AUTH; dispatch; lifecycle)
//
// go-smtp is given one complete, screened command line at a time and never an octet of a message. DATA and BDAT both reach it
// as the line "DATA", whose body it sees as empty, while the session reads the real body with its own strict reader. That
// removes by construction what go-smtp v0.25.1 gets wrong: a stalled body that continues as commands, one deadline for a
// whole body, a truncated chunk that counts as complete, bare CR and LF, and a body that is still being read
// in another goroutine when the next command is answered. TLS is ended here as well, below go-smtp, because a wrapper above
// *tls.Conn would hide it from the library, and one below would not see commands.
//
// After the first read error nothing is read from a connection again. A 250 after a body means that the flow has stored it and
// that every octet announced has arrived; whatever went wrong on our side is a 4xx.
package smtpd

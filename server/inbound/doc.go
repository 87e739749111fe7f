// Package inbound is the arrival of a letter: who may receive it, what is decided about it, and where it is filed.
//
// A decision about a letter is a value (Verdict), computed by a pure function from facts; carrying it out is another function.
// Whatever the sender is told after the final dot is true for every recipient: all are stored or none is (mail-rules D-2). The
// bytes of each recipient are their own, with the trace fields of final delivery on top (RFC 5321 §4.4).
//
// The package opens no sockets and knows no SMTP codes; smtpd turns the kinds of its errors into replies.
package inbound

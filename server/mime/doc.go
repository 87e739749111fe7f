// Package mime reads and writes Internet messages (RFC 5322, RFC 2045-2049, RFC 2047, RFC 2231).
//
// Scan reads a message once, when it arrives, and yields everything the rest of the server needs to know about its shape:
// part offsets, ENVELOPE and BODYSTRUCTURE, preview, references, attachment names, faults. It never fails because of what a
// message contains: the worst case is a single text/plain part. Every loop is bounded (mail-rules L-20..L-24); what goes over
// a limit becomes an opaque leaf that is still readable as raw bytes, and Message.Limits says so.
//
// Compose writes a message of our own, 7-bit clean, with no line over 998 octets, and refuses control characters in headers.
//
// The package knows bytes and nothing else: no I/O besides the reader it is given, no clock, no randomness of its own, no
// database, no policy. Whether a fault means a refusal is the caller's decision.
package mime

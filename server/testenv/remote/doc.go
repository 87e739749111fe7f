// Package remote is a mail server of somebody else, for tests: it listens on a real socket, does what its script says and
// keeps a ledger of what it accepted (mail-rules F-2, F-13). A script gives, for each recipient and attempt and for each
// connection, the replies, waits, drops and lies; it may change while the server runs.
//
// Listen starts one anywhere, also in a long-running program, where a ledger file takes one synced line for each message
// before the 250 is written. Start ties one to a test. A script tells what happens on the wire and nothing else: the package
// knows nothing of our own server and must not import it.
//
// Everything is bounded: sessions at a time, size and number of messages, octets kept, silence on a connection. What a
// client gets wrong (bare LF, lines too long, commands where none may be) is noted as a fault of its session.
package remote

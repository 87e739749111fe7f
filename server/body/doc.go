// Package body keeps the bytes of messages: one immutable, complete file per message and owner, in Maildir format.
//
//	<data>/maildir/<owner>/tmp/<name>   being written
//	<data>/maildir/<owner>/cur/<name>   complete, synced, never changed or renamed again
//	<data>/maildir/<owner>/new/         always empty; it makes the directory a Maildir
//	<data>/lost/<owner>/<name>          files that no row refers to, put aside by the reconciler (D-22)
//	<data>/tmp/<random>                 spools of messages that are arriving
//
// The owner is a user's id, "outbound" or "blobs". A name is made of our clock, our node and our randomness, never of anything that came
// from outside (D-15, S-34), and every name that comes back from the database or the directory is checked before it is used.
//
// Put makes the file's bytes durable, Sync the directory entry. Only after both may a row refer to the file, and only after
// that row is committed may anybody be told "accepted" (D-9 to D-13). The package knows neither rows nor messages: who refers
// to a file, and when it may go, is decided above. It is a store in Maildir format, not a mailbox to be browsed: flags and
// folders are in the database.
//
// Errors have a kind: no room is fault.Storage, a device that fails is fault.Unavailable, a missing file is fault.Gone. None of
// them is ever the sender's fault (I-43).
package body

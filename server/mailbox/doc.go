// Package mailbox owns the mailboxes of all accounts: their names, the messages in them, flags, uids, mod-sequences, counters and
// the change log, and the life of a message's file from the row that refers to it to the row that no longer does. It is what
// "an acknowledged message is never lost" rests on.
//
// Rules that hold everywhere (mail-rules §1):
//
//   - A mailbox row is the lock of its mailbox: whoever changes anything in it holds that row to the commit, so commit order is
//     uid order and modseq order (D-30, D-31). Rows are locked in this order: mailboxes by key, then usage rows by account.
//   - A file exists, synced, before a row refers to it; the row is gone, committed, before the file goes (D-13, D-25).
//   - Uids go up to 2^31-1, because the column is a signed 32-bit integer; IMAP would allow 2^32-1. A mailbox that has used them up
//     refuses new mail, and no uid is given twice (D-34).
//   - Counters, change log and messages change in one transaction. Every change of messages that were there writes one row of
//     the log; arrivals write none: they are what lies at or above the uid that a reader knows as next.
//   - A message row is shared by all mailboxes of the account that show it; refs counts them. COPY and MOVE touch rows only.
//   - The row lock of account_usage guards refs of all messages of the account.
//
// Deliveries of the whole process go through one committer, which puts those that wait into one transaction. Readers share one
// View per mailbox. Notices go to the bus after the commit and carry nothing.
//
// The package does not know SMTP, IMAP or HTTP, decides no policy about a letter, and never reads a body except to verify it.
package mailbox

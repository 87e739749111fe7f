// Package outbound is the departure of a letter: it accepts what users and programs send, keeps it until every recipient has
// a final result, and records each result in the ledger.
//
// Accept (API) and Submit (SMTP) make the bytes durable first and then, in one transaction, the email, one row for each
// recipient and the wake-up job (mail-rules D-14). Attempt is what the job does: recipients hosted here are filed through
// Local without dialling, everybody else goes where outbound.mode says. The queue is these rows; River only wakes.
//
// The package never decides about arriving mail and knows nothing of IMAP. Local is implemented by inbound and wired by app.
// No transaction of this package waits for a second connection of the pool or for the disk: a parcel is written first.
package outbound

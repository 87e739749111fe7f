// Package outbound is the departure of a letter: it accepts what users and programs send, keeps it until every recipient has
// a final result, and records each result in the ledger.
//
// Accept (API) and Submit (SMTP) make the bytes durable first and then, in one transaction, the email, one row for each
// recipient and the wake-up jobs (mail-rules D-14). The queue is these rows; River only wakes.
//
// Attempt finishes what needs no other server: recipients hosted here are filed through Local without dialling, and the sink
// and the test network take theirs. Drain sends what is due for one destination, a recipient domain or a smart host, while it
// holds the destination's lease; another wake-up leaves word (more) and ends, and the holder lets go only when nobody has.
// smtpout speaks SMTP. Each dialogue ends in one transaction: recipients, events, the email's state. A scanner on each node
// wakes what is due later, and what a killed worker left behind (WakeDue). Report tells the sender of a failure.
//
// The package never decides about arriving mail and knows nothing of IMAP. Local is implemented by inbound and wired by app.
// No transaction of this package waits for a second connection of the pool, for the disk or for another server.
//
// Locks are taken in this order: destination, recipients in the order of their ids, email.
package outbound

// Command chaos takes from a running server what it needs, again and again, while clients send, deliver, append and change mail, and
// then counts what was lost of that which the server had acknowledged. The promise is: nothing.
//
// Every operation is written to a ledger on disk: the intent before anything is sent, the outcome after the reply was read. An
// operation whose connection broke is "unknown": it may have taken effect or not. At the end a checker replays the ledger and
// compares it with what IMAP, the API and the files on disk show. It never reads the database and imports nothing of the server:
// it knows only the protocols and dev.json. The parts of a run, of which -only chooses some:
//
//	kills     at seeded moments the server gets SIGKILL, every second time together with its database; "mailserver verify" looks at
//	          what is left, and the server is started again (F-4)
//	postgres  the postmaster and all processes below it get SIGKILL while the server lives, which has to start its database by
//	          itself and to serve again within 10 s (F-7)
//	restarts  the server gets SIGTERM under load; it ends within 30 s and leaves no letter without an answer (F-18)
//	disk      another server with the same clients has its messages on one small volume and its database on another. They are
//	          filled in turn: with bytes, with files, the database's, and the database's while the database is killed. Meanwhile
//	          mail is read and removed, and when there is room all works again within 10 s (F-9). It needs root, who may mount
//
// Whatever is missing, senders are told to come back and nothing else: 4xx of SMTP, NO [UNAVAILABLE] of IMAP, 503 or 507 of the API.
// One other reply, or a 2xx for what is not there at the end, fails the run. A refused operation that met a database which was away
// may have happened all the same, because the answer to a COMMIT can be lost (D-12).
//
// Mail for others goes to mail servers inside this program (testenv/remote), one for each of some domains, which survive
// everything and have ledgers of their own, written before their 250. They misbehave by the dice of the seed, address by address:
// they take their time between the ledger and the reply, put off the first attempts, close without the reply, refuse for good;
// one of them is away for a while. A kill waits a moment for a message that is halfway. At the end every recipient of an
// accepted email is delivered, byte for byte, or has bounced and the sender has one notice of it; and every second copy must
// have its reason in a reply that the server cannot have stored: kept back by the script, cut off with the connection, followed
// by a kill, or met by a database that was away. After each kill mail that waited must move again within 45 seconds.
//
// The run prints its seed and the tables, writes .run/chaos.json and exits 1 when anything was lost, altered, undone, left untold,
// doubled without need or refused wrongly, when something took too long, or when verify was not clean. -seed repeats the same
// plan and the same choices of the clients and of the other servers; the moments at which their operations meet the plan differ
// from run to run. -short is for the tests of the repository.
//
// Volumes are mounted in memory and, as far as the system allows, where no other process sees them: the kernel takes them away with
// the last process of the run, however that ends.
package main

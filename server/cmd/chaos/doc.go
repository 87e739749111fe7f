// Command chaos kills a running server again and again while clients send, deliver, append and change mail, and then counts
// what was lost of that which the server had acknowledged. The promise is: nothing.
//
// Every operation is written to a ledger on disk: the intent before anything is sent, the outcome after the reply was read. An
// operation whose connection broke is "unknown": it may have taken effect or not. At seeded moments the server gets SIGKILL,
// every second time together with its database, "mailserver verify" looks at what is left, and the server is started again. At
// the end a checker replays the ledger and compares it with what IMAP, the API and the files on disk show. It never reads the
// database and imports nothing of the server: it knows only the protocols and dev.json.
//
// Mail for others goes to mail servers inside this program (testenv/remote), one for each of some domains, which survive the
// kills and have ledgers of their own, written before their 250. They misbehave by the dice of the seed, address by address:
// they take their time between the ledger and the reply, put off the first attempts, close without the reply, refuse for good;
// one of them is away for a while. A kill waits a moment for a message that is halfway. At the end every recipient of an
// accepted email is delivered, byte for byte, or has bounced and the sender has one notice of it; and every second copy must
// have its reason in a reply that the server cannot have stored: kept back by the script, cut off with the connection, or
// followed by a kill. After each kill mail that waited must move again within 45 seconds.
//
// The run prints its seed, the times of the kills and the tables, writes .run/chaos.json and exits 1 when anything was lost,
// altered, undone, left untold or doubled without need, when mail stood still, or when verify was not clean. -seed repeats the
// same plan and the same choices of the clients and of the other servers; the moments at which their operations meet the kills
// differ from run to run.
package main

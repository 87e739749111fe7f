// Command chaos kills a running server again and again while clients send, deliver, append and change mail, and then counts
// what was lost of that which the server had acknowledged. The promise is: nothing.
//
// Every operation is written to a ledger on disk: the intent before anything is sent, the outcome after the reply was read. An
// operation whose connection broke is "unknown": it may have taken effect or not. At seeded moments the server gets SIGKILL,
// every second time together with its database, "mailserver verify" looks at what is left, and the server is started again. At
// the end a checker replays the ledger and compares it with what IMAP, the API and the files on disk show. It never reads the
// database and imports nothing of the server: it knows only the protocols and dev.json.
//
// The run prints its seed, the times of the kills and a table, writes .run/chaos.json and exits 1 when anything was lost,
// altered, undone or doubled without need, or when verify was not clean. -seed repeats the same plan and the same choices of
// the clients; the moments at which their operations meet the kills differ from run to run.
package main

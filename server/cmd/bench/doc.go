// Command bench puts the same verified load on this server and, beside it in the same run, on Postfix and Dovecot from packages,
// and prints one table of figures with the ratios between the two.
//
// It starts bin/mailserver as "mailserver serve" does, with its default durability, and a private instance of the peer with its
// own configuration, queue and mailboxes, both on loopback ports and on the same disk, below .run/bench. Rounds alternate
// between the two, and which of them begins alternates too; the table shows medians. The peer needs root and its packages: without
// them the run goes on and the table says why the column is empty.
//
// Nothing is counted that was not verified by identity: every letter carries an id in its subject and its body, and each accepted
// one must be found exactly once, in the right mailbox or at the sink, with a body of the same SHA-256. The run exits 1 when our
// server lost, doubled or changed a letter, refused a valid one, or, with -gates, missed a gate.
//
// Times are taken by the client. CPU time and memory are those of the whole process tree of a server, its database included, and
// exist on Linux only. When the environment variable MAILBENCH names the folder of an independent generator, that one measures
// the same two servers as well, and both results are printed side by side.
//
// The drain, which must be asked for (-only drain), is about our server alone: it fills the queue through the API while no worker
// runs, and then measures on copies of the same data how fast it drains, in turn with all destinations alive and with one of them
// dead. The others may hardly notice; the mail of the dead one must stay in the queue, with its state in the list of destinations,
// and arrive once that lives again.
//
// With -profile the run keeps, below .run/pprof/<time>, a CPU profile of our server for each measure and what it had allocated and
// held before and after it, and prints the CPU time and the allocations for each letter, push or message; for example
//
//	go tool pprof -top .run/pprof/<time>/submission.cpu.pprof
//	go tool pprof -sample_index=alloc_space -base .run/pprof/<time>/submission.allocs-before.pprof .run/pprof/<time>/submission.allocs.pprof
//
// The load generator speaks SMTP and IMAP by itself, with as little work per letter as possible, because it shares the processor
// with the servers. It knows the protocols and the API, through sdk/go, and imports nothing of the server but the reader of the
// environment.
package main

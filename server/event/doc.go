// Package event owns the ledger: an append-only list of what happened, written in the transaction in which it happened.
//
// Readers walk it by a cursor (xid, id). They see only rows of transactions below the oldest one that still runs, so a
// transaction that commits late can never end up behind a reader: no reader misses an event and none gets one twice, with any
// number of writers and nodes. The price is that an event may be seen a little after its commit, when an older transaction is
// still running.
//
// Whoever follows reads a Feed: all feeds of a node share one reader of the ledger's end.
//
// The ledger is partitioned by day; the keeper makes partitions ahead and drops them whole. The package decides who may read
// which events. It must not know what an event means.
package event

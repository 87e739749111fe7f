// Package pg is the way to PostgreSQL: the pool, transactions, what errors mean, and the listener for notifications.
//
// Store functions take a Querier; services open transactions with InTx. The package knows nothing about tables. It refuses a
// database that could forget a committed transaction (D-4), and after a lost connection it works again by itself as soon as the
// database does. It must never listen on a pooled connection and never retry a transaction on its own.
//
// Behind a pooler in transaction mode (PgBouncer) add default_query_exec_mode=exec to the connection string, tell the pooler to
// ignore the start-up parameters statement_timeout, lock_timeout and idle_in_transaction_session_timeout, and give Listener,
// migrations and the queue's listener a direct connection string.
package pg

// Package bus wakes readers when something they watch has changed: IDLE sessions, event streams, caches.
//
// A notice is a hint and carries nothing. Whoever is woken reads the database again; whoever misses a notice loses time, never
// data (mail-rules D-41). Notices go out after the commit, never inside the transaction that they are about: a notifying commit
// queues behind a lock of the whole database. This package holds no state but the list of subscribers and knows nobody's rows.
package bus

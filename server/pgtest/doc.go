// Package pgtest gives each test a PostgreSQL database of its own, migrated, in milliseconds. Only tests import it.
//
// The first call in a test process starts one private cluster for that process; package local does it, with every durability
// setting on, so that the checks of package pg hold in tests too. The cluster is a copy of one that was initialised and
// migrated before and is kept under the directory for temporary files until a migration changes. It lives on a memory file
// system when that has room, where fsync costs nothing. Databases are copies of a template; a few are made ahead.
//
// Nothing outlives the test process: the kernel stops PostgreSQL when the process dies, and a small shell that waits for this
// removes the files.
package pgtest

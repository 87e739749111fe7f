// Package schema brings the database to the form that this binary needs, and back: the SQL files of package migrations (by
// goose, recorded in the table schema_migrations), then River's own tables (recorded in river_migration).
//
// Any number of nodes may start at once: one migrates, the others wait and find nothing to do. An older binary refuses a
// database that a newer one has changed. Give every function a connection string that leads to PostgreSQL itself, not through a
// pooler in transaction mode. Nothing here knows what the tables mean.
package schema

// Package migrations holds the schema of the database as SQL files for server/schema, and nothing else.
//
// A file is named YYYYMMDDhhmmss_words_with_underscores.sql: fourteen digits of UTC time, so that many people can add files at
// once; the digits are its version. It has a "-- +goose Up" and a "-- +goose Down" part, each run in one transaction; a file
// that needs CREATE INDEX CONCURRENTLY begins with "-- +goose NO TRANSACTION" and holds that one statement. A file that has been
// released is never changed. River's own tables are not here: its module brings their migrations.
package migrations

import "embed"

// FS holds the SQL files at its root.
//
//go:embed *.sql
var FS embed.FS

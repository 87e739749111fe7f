package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is a transaction, for packages that do not know the driver.
type Tx = pgx.Tx

// Querier is what a store function runs its statements on: a *Pool, where each call is a transaction of its own, or a pgx.Tx.
type Querier interface {
	// Exec runs a statement and returns its command tag.
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	// Query runs a query; the rows must be closed. pgx.CollectRows does both.
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	// QueryRow runs a query for at most one row; Scan returns pgx.ErrNoRows when there is none.
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	// SendBatch sends many statements in one round trip; the result must be closed and the error of Close looked at.
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
	// CopyFrom writes many rows with COPY and returns their number.
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

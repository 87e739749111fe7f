package domain

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	nameKey         = "domain_name_key"
	codeForeignUsed = "23503"
)

const sqlInsert = `INSERT INTO domain (id, name, status, version, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4)`

const sqlGet = `SELECT id, name, status, version, created_at, updated_at FROM domain WHERE id = $1`

const sqlGetByName = `SELECT id, name, status, version, created_at, updated_at FROM domain WHERE name = $1`

// Ids are made in the order of time, so the newest comes first and rows that are made during a walk lie before its beginning.
const sqlList = `
SELECT id, name, status, version, created_at, updated_at FROM domain
WHERE ($1::uuid IS NULL OR id < $1) AND ($2::boolean OR id = ANY ($3::uuid[]))
	AND ($4::text = '' OR status = $4) AND ($5::text = '' OR name = $5)
ORDER BY id DESC LIMIT $6`

const sqlLock = `SELECT id, name, status, version, created_at, updated_at FROM domain WHERE id = $1 FOR UPDATE`

const sqlUpdate = `UPDATE domain SET status = $2, version = version + 1, updated_at = $3 WHERE id = $1`

const sqlDelete = `DELETE FROM domain WHERE id = $1`

// Find reads a domain by its stored name, in the caller's transaction or pool; found is false when it is not hosted.
func Find(ctx context.Context, q pg.Querier, name string) (d Domain, found bool, err error) {
	return one(ctx, q, sqlGetByName, name)
}

func insert(ctx context.Context, q pg.Querier, d Domain) error {
	_, err := q.Exec(ctx, sqlInsert, d.ID, d.Name, string(d.Status), d.CreatedAt)
	return err
}

// one reads at most one row.
func one(ctx context.Context, q pg.Querier, sql string, arg any) (d Domain, found bool, err error) {
	rows, err := q.Query(ctx, sql, arg)
	if err != nil {
		return d, false, err
	}
	d, err = pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, false, nil
	}
	return d, err == nil, err
}

// list gives one more than the page takes, when there is one.
func list(ctx context.Context, q pg.Querier, all bool, domains []mail.DomainID, query ListQuery) ([]Domain, error) {
	rows, err := q.Query(ctx, sqlList, query.After, all, uuids(domains), string(query.Status), query.Name, query.Limit+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

func uuids(ids []mail.DomainID) []pgtype.UUID {
	out := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		out[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return out
}

func scan(row pgx.CollectableRow) (Domain, error) {
	var d Domain
	err := row.Scan(&d.ID, &d.Name, &d.Status, &d.Version, &d.CreatedAt, &d.UpdatedAt)
	d.CreatedAt, d.UpdatedAt = d.CreatedAt.UTC(), d.UpdatedAt.UTC()
	return d, err
}

func update(ctx context.Context, q pg.Querier, d Domain) error {
	_, err := q.Exec(ctx, sqlUpdate, d.ID, string(d.Status), d.UpdatedAt)
	return err
}

func remove(ctx context.Context, q pg.Querier, id mail.DomainID) error {
	_, err := q.Exec(ctx, sqlDelete, id)
	return err
}

// stillUsed reports whether a row elsewhere belongs to the domain.
func stillUsed(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == codeForeignUsed
}

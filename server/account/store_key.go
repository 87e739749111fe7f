package account

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const keySelect = `
SELECT id, name, mode, scopes, domain_ids, allowed_cidrs, created_by, expires_at, revoked_at, last_used_at, created_at, secret_hash
FROM api_key `

const (
	sqlGetKey        = keySelect + `WHERE id = $1`
	sqlLockKey       = keySelect + `WHERE id = $1 FOR UPDATE`
	sqlKeyByPublicID = keySelect + `WHERE public_id = $1`
)

// A restricted reader sees keys whose domains are all among its own.
const sqlListKeys = keySelect + `
WHERE ($1::uuid IS NULL OR id < $1) AND ($2::boolean OR domain_ids <> '{}' AND domain_ids <@ $3::uuid[])
ORDER BY id DESC LIMIT $4`

const sqlInsertKey = `
INSERT INTO api_key (id, name, public_id, secret_hash, mode, scopes, domain_ids, allowed_cidrs, created_by, expires_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

const sqlRevokeKey = `UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`

const sqlTouchKey = `UPDATE api_key SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)`

// keyRecord is a key with what only this package may see.
type keyRecord struct {
	Key
	secretHash []byte
}

func getKey(ctx context.Context, q pg.Querier, sql string, arg any) (k keyRecord, found bool, err error) {
	rows, err := q.Query(ctx, sql, arg)
	if err != nil {
		return k, false, err
	}
	k, err = pgx.CollectExactlyOneRow(rows, scanKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return k, false, nil
	}
	return k, err == nil, err
}

func scanKey(row pgx.CollectableRow) (keyRecord, error) {
	var k keyRecord
	var domains []pgtype.UUID
	err := row.Scan(&k.ID, &k.Name, &k.Mode, &k.Scopes, &domains, &k.AllowedCIDRs, &k.CreatedBy, &k.ExpiresAt, &k.RevokedAt,
		&k.LastUsedAt, &k.CreatedAt, &k.secretHash)
	k.Domains = domainIDs(domains)
	k.CreatedAt = k.CreatedAt.UTC()
	k.ExpiresAt, k.RevokedAt, k.LastUsedAt = inUTC(k.ExpiresAt), inUTC(k.RevokedAt), inUTC(k.LastUsedAt)
	return k, err
}

// inUTC gives a time that may be absent in UTC: the driver gives it in the machine's zone.
func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// listKeys gives one more than the page takes, when there is one.
func listKeys(ctx context.Context, q pg.Querier, all bool, domains []mail.DomainID, query KeyQuery) ([]Key, error) {
	rows, err := q.Query(ctx, sqlListKeys, query.After, all, uuids(domains), query.Limit+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) {
		k, err := scanKey(row)
		return k.Key, err
	})
}

func insertKey(ctx context.Context, q pg.Querier, k Key, publicID string, secretHash []byte) error {
	_, err := q.Exec(ctx, sqlInsertKey, k.ID, k.Name, publicID, secretHash, string(k.Mode), k.Scopes, uuids(k.Domains),
		k.AllowedCIDRs, k.CreatedBy, k.ExpiresAt, k.CreatedAt)
	return err
}

func revokeKey(ctx context.Context, q pg.Querier, id mail.KeyID, now time.Time) error {
	_, err := q.Exec(ctx, sqlRevokeKey, id, now)
	return err
}

func touchKey(ctx context.Context, q pg.Querier, id mail.KeyID, now, before time.Time) error {
	_, err := q.Exec(ctx, sqlTouchKey, id, now, before)
	return err
}

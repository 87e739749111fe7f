package domain

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/seal"
)

const selectorKey = "dkim_key_selector_key"

const keySelect = `
SELECT k.id, k.domain_id, d.name, k.selector, k.algorithm, k.source, k.state, k.public_key, k.sealed_key, k.version, k.created_at,
	k.updated_at, k.activated_at, k.retired_at, k.revoked_at
FROM dkim_key k JOIN domain d ON d.id = k.domain_id `

const sqlGetDKIMKey = keySelect + `WHERE k.id = $2 AND k.domain_id = $1 AND k.deleted_at IS NULL`

const sqlFindDKIMKey = keySelect + `WHERE k.id = $1 AND k.deleted_at IS NULL`

const sqlLockDKIMKey = sqlGetDKIMKey + ` FOR UPDATE OF k`

const sqlListDKIMKeys = keySelect + `
WHERE k.domain_id = $1 AND k.deleted_at IS NULL AND ($2::uuid IS NULL OR k.id < $2) ORDER BY k.id DESC LIMIT $3`

const sqlActiveDKIMKeys = keySelect + `WHERE k.domain_id = $1 AND k.state = 'active' AND k.deleted_at IS NULL`

// Deleted keys count: a selector is never used twice.
const sqlDKIMSelectors = `SELECT selector FROM dkim_key WHERE domain_id = $1`

const sqlCountDKIMKeys = `SELECT count(*) FROM dkim_key WHERE domain_id = $1 AND deleted_at IS NULL`

const sqlInsertDKIMKey = `
INSERT INTO dkim_key (id, domain_id, selector, algorithm, source, state, public_key, sealed_key, created_at, updated_at, activated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)`

// The private part of a revoked key is of no use to anybody but a thief.
const sqlUpdateDKIMKey = `
UPDATE dkim_key SET state = $2, public_key = $3, version = version + 1, updated_at = $4, activated_at = $5, retired_at = $6, revoked_at = $7,
	sealed_key = CASE WHEN $2 = 'revoked' THEN NULL ELSE sealed_key END
WHERE id = $1`

const sqlDeleteDKIMKey = `UPDATE dkim_key SET deleted_at = $2, sealed_key = NULL, state = 'revoked', version = version + 1 WHERE id = $1`

// Octets 2 to 9 of what is sealed are the id of the master key. Private keys are sealed, and the passwords of smart hosts.
const sqlSealedWith = `
SELECT substring(sealed_key FROM 2 FOR 8) FROM dkim_key WHERE sealed_key IS NOT NULL
UNION SELECT substring(password FROM 2 FOR 8) FROM domain_relay WHERE password IS NOT NULL`

// keyRow is a key as it lies in the database.
type keyRow struct {
	DKIMKey
	sealed []byte
}

func scanKey(row pgx.CollectableRow) (keyRow, error) {
	var k keyRow
	err := row.Scan(&k.ID, &k.DomainID, &k.DomainName, &k.Selector, &k.Algorithm, &k.Source, &k.State, &k.Public, &k.sealed, &k.Version,
		&k.CreatedAt, &k.UpdatedAt, &k.ActivatedAt, &k.RetiredAt, &k.RevokedAt)
	k.CreatedAt, k.UpdatedAt = k.CreatedAt.UTC(), k.UpdatedAt.UTC()
	k.ActivatedAt, k.RetiredAt, k.RevokedAt = inUTC(k.ActivatedAt), inUTC(k.RetiredAt), inUTC(k.RevokedAt)
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

// oneKey reads at most one key.
func oneKey(ctx context.Context, q pg.Querier, sql string, domain mail.DomainID, id mail.DKIMKeyID) (k keyRow, found bool, err error) {
	rows, err := q.Query(ctx, sql, domain, id)
	if err != nil {
		return k, false, err
	}
	k, err = pgx.CollectExactlyOneRow(rows, scanKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return k, false, nil
	}
	return k, err == nil, err
}

func manyKeys(ctx context.Context, q pg.Querier, sql string, args ...any) ([]keyRow, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanKey)
}

func selectors(ctx context.Context, q pg.Querier, domain mail.DomainID) ([]string, error) {
	rows, err := q.Query(ctx, sqlDKIMSelectors, domain)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func countKeys(ctx context.Context, q pg.Querier, domain mail.DomainID) (n int, err error) {
	err = q.QueryRow(ctx, sqlCountDKIMKeys, domain).Scan(&n)
	return n, err
}

func insertKey(ctx context.Context, q pg.Querier, k keyRow) error {
	_, err := q.Exec(ctx, sqlInsertDKIMKey, k.ID, k.DomainID, k.Selector, string(k.Algorithm), string(k.Source), string(k.State), k.Public,
		k.sealed, k.CreatedAt, k.ActivatedAt)
	return err
}

func updateKey(ctx context.Context, q pg.Querier, k DKIMKey) error {
	_, err := q.Exec(ctx, sqlUpdateDKIMKey, k.ID, string(k.State), k.Public, k.UpdatedAt, k.ActivatedAt, k.RetiredAt, k.RevokedAt)
	return err
}

// SealedWith gives the ids of the master keys with which private keys and passwords of this package in the database are sealed.
func SealedWith(ctx context.Context, q pg.Querier) ([]seal.KeyID, error) {
	rows, err := q.Query(ctx, sqlSealedWith)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (seal.KeyID, error) {
		var id []byte
		if err := row.Scan(&id); err != nil {
			return seal.KeyID{}, err
		}
		return seal.KeyID(id), nil
	})
}

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

const userSelect = `
SELECT a.id, a.domain_id, a.email, a.local, a.name, a.role, a.status, a.quota_bytes, a.version, a.created_at, a.updated_at,
	a.password_hash, a.auth_epoch, coalesce(u.bytes, 0), coalesce(u.messages, 0),
	ARRAY(SELECT d.domain_id FROM account_domain d WHERE d.account_id = a.id ORDER BY d.domain_id)
FROM account a LEFT JOIN account_usage u ON u.account_id = a.id `

const (
	sqlGetUser     = userSelect + `WHERE a.id = $1`
	sqlLockUser    = userSelect + `WHERE a.id = $1 FOR UPDATE OF a`
	sqlUserByEmail = userSelect + `WHERE a.email = $1`
)

// Ids are made in the order of time, so the newest comes first and users who are made during a walk lie before its beginning.
const sqlListUsers = userSelect + `
WHERE ($1::uuid IS NULL OR a.id < $1) AND ($2::boolean OR a.domain_id = ANY ($3::uuid[]) OR a.id = $4::uuid)
	AND ($5::uuid IS NULL OR a.domain_id = $5) AND ($6::text = '' OR a.role = $6)
	AND ($7::text = '' OR a.status = $7) AND ($8::text = '' OR a.email = $8)
ORDER BY a.id DESC LIMIT $9`

const sqlInsertUser = `
INSERT INTO account (id, domain_id, email, local, name, role, status, password_hash, quota_bytes, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`

const sqlInsertUsage = `INSERT INTO account_usage (account_id) VALUES ($1)`

const sqlUpdateUser = `
UPDATE account SET name = $2, role = $3, status = $4, quota_bytes = $5, auth_epoch = $6, updated_at = $7, version = version + 1
WHERE id = $1`

const sqlDeleteAdminDomains = `DELETE FROM account_domain WHERE account_id = $1`

const sqlInsertAdminDomains = `INSERT INTO account_domain (account_id, domain_id) SELECT $1, unnest($2::uuid[])`

const sqlSetPassword = `
UPDATE account SET password_hash = $2, auth_epoch = auth_epoch + 1, updated_at = $3, version = version + 1 WHERE id = $1`

// The same password under another hash: nothing that was issued before ends.
const sqlRehash = `UPDATE account SET password_hash = $3 WHERE id = $1 AND password_hash = $2`

const sqlDeleteUser = `DELETE FROM account WHERE id = $1`

const sqlDeleteUsage = `DELETE FROM account_usage WHERE account_id = $1`

const sqlOtherOwners = `SELECT EXISTS (SELECT FROM account WHERE role = 'owner' AND status = 'active' AND id <> $1)`

const sqlHasOwner = `SELECT EXISTS (SELECT FROM account WHERE role = 'owner')`

// One at a time makes the first owner or changes owners; the number is this package's own.
const sqlLockOwners = `SELECT pg_advisory_xact_lock(4215002102)`

const sqlRoute = `
SELECT a.id, a.domain_id, a.status, a.quota_bytes, coalesce(u.bytes, 0)
FROM account a LEFT JOIN account_usage u ON u.account_id = a.id WHERE a.email = $1`

const sqlKnownDomains = `SELECT count(*) FROM domain WHERE id = ANY ($1::uuid[])`

// oneUser reads at most one user.
func oneUser(ctx context.Context, q pg.Querier, sql string, arg any) (r record, found bool, err error) {
	rows, err := q.Query(ctx, sql, arg)
	if err != nil {
		return r, false, err
	}
	r, err = pgx.CollectExactlyOneRow(rows, scanUser)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

func scanUser(row pgx.CollectableRow) (record, error) {
	var r record
	var email, local string
	var domains []pgtype.UUID
	err := row.Scan(&r.ID, &r.DomainID, &email, &local, &r.Name, &r.Role, &r.Status, &r.QuotaBytes, &r.Version, &r.CreatedAt,
		&r.UpdatedAt, &r.hash, &r.epoch, &r.UsedBytes, &r.Messages, &domains)
	if err != nil {
		return r, err
	}
	folded, err := mail.ParseAddress(email)
	r.Email = mail.Address{Local: local, Domain: folded.Domain}.String()
	r.AdminDomains = domainIDs(domains)
	r.CreatedAt, r.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	return r, err
}

// listUsers gives one more than the page takes, when there is one.
func listUsers(ctx context.Context, q pg.Querier, v userView, query ListQuery) ([]User, error) {
	rows, err := q.Query(ctx, sqlListUsers, query.After, v.all, uuids(v.domains), v.self, query.Domain, string(query.Role),
		string(query.Status), query.Email, query.Limit+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (User, error) {
		r, err := scanUser(row)
		return r.User, err
	})
}

func insertUser(ctx context.Context, q pg.Querier, r record) error {
	a := r.Address()
	_, err := q.Exec(ctx, sqlInsertUser, r.ID, r.DomainID, Fold(a), a.Local, r.Name, string(r.Role), string(r.Status), r.hash,
		r.QuotaBytes, r.CreatedAt)
	if err != nil {
		return err
	}
	if _, err = q.Exec(ctx, sqlInsertUsage, r.ID); err != nil {
		return err
	}
	return setAdminDomains(ctx, q, r.ID, r.AdminDomains)
}

func updateUser(ctx context.Context, q pg.Querier, r record) error {
	_, err := q.Exec(ctx, sqlUpdateUser, r.ID, r.Name, string(r.Role), string(r.Status), r.QuotaBytes, r.epoch, r.UpdatedAt)
	if err != nil {
		return err
	}
	return setAdminDomains(ctx, q, r.ID, r.AdminDomains)
}

func setAdminDomains(ctx context.Context, q pg.Querier, id mail.UserID, domains []mail.DomainID) error {
	if _, err := q.Exec(ctx, sqlDeleteAdminDomains, id); err != nil || len(domains) == 0 {
		return err
	}
	_, err := q.Exec(ctx, sqlInsertAdminDomains, id, uuids(domains))
	return err
}

func setPassword(ctx context.Context, q pg.Querier, id mail.UserID, hash string, now time.Time) error {
	_, err := q.Exec(ctx, sqlSetPassword, id, hash, now)
	return err
}

func rehash(ctx context.Context, q pg.Querier, id mail.UserID, from, to string) (bool, error) {
	tag, err := q.Exec(ctx, sqlRehash, id, from, to)
	return tag.RowsAffected() == 1, err
}

func deleteUser(ctx context.Context, q pg.Querier, id mail.UserID) error {
	if _, err := q.Exec(ctx, sqlDeleteUsage, id); err != nil {
		return err
	}
	_, err := q.Exec(ctx, sqlDeleteUser, id)
	return err
}

func hasOwner(ctx context.Context, q pg.Querier) (has bool, err error) {
	err = q.QueryRow(ctx, sqlHasOwner).Scan(&has)
	return has, err
}

func selectRoute(ctx context.Context, q pg.Querier, folded string) (r Route, found bool, err error) {
	err = q.QueryRow(ctx, sqlRoute, folded).Scan(&r.User, &r.DomainID, &r.Status, &r.QuotaBytes, &r.UsedBytes)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

// domainsExist reports whether all ids, which must differ, are those of domains.
func domainsExist(ctx context.Context, q pg.Querier, ids []mail.DomainID) (bool, error) {
	if len(ids) == 0 {
		return true, nil
	}
	var n int
	err := q.QueryRow(ctx, sqlKnownDomains, uuids(ids)).Scan(&n)
	return n == len(ids), err
}

// uuids and domainIDs carry lists of ids to and from a uuid[].
func uuids(ids []mail.DomainID) []pgtype.UUID {
	out := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		out[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return out
}

func domainIDs(list []pgtype.UUID) []mail.DomainID {
	if len(list) == 0 {
		return nil
	}
	out := make([]mail.DomainID, len(list))
	for i, id := range list {
		out[i] = id.Bytes
	}
	return out
}

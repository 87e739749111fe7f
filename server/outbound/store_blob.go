package outbound

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const sqlInsertBlob = `
INSERT INTO blob (id, actor, file, size, sha256, content_type, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

func insertBlob(ctx context.Context, q pg.Querier, b Blob) error {
	_, err := q.Exec(ctx, sqlInsertBlob, b.ID, b.Actor, b.File, b.Size, b.SHA256[:], b.ContentType, b.CreatedAt, b.ExpiresAt)
	if err != nil {
		return fmt.Errorf("insert blob: %w", err)
	}
	return nil
}

const sqlHasBlob = `SELECT EXISTS (SELECT FROM blob WHERE id = $1)`

func hasBlob(ctx context.Context, q pg.Querier, id mail.BlobID) (found bool, err error) {
	err = q.QueryRow(ctx, sqlHasBlob, id).Scan(&found)
	return found, err
}

const sqlSumBlobs = `SELECT count(*), coalesce(sum(size), 0)::bigint FROM blob WHERE actor = $1`

// sumBlobs gives how many blobs an actor has, and their octets.
func sumBlobs(ctx context.Context, q pg.Querier, actor string) (n int, total int64, err error) {
	err = q.QueryRow(ctx, sqlSumBlobs, actor).Scan(&n, &total)
	return n, total, err
}

const sqlLockBlobs = `SELECT pg_advisory_xact_lock(hashtextextended('blobs of ' || $1, 0))`

// lockBlobs lets one upload of an actor at a time into the rows, until the transaction ends.
func lockBlobs(ctx context.Context, q pg.Querier, actor string) error {
	if _, err := q.Exec(ctx, sqlLockBlobs, actor); err != nil {
		return fmt.Errorf("lock blobs: %w", err)
	}
	return nil
}

const blobColumns = `id, actor, file, size, sha256, content_type, created_at, expires_at`

const sqlGetBlob = `SELECT ` + blobColumns + ` FROM blob WHERE id = $1 AND actor = $2 AND expires_at > $3`

func getBlob(ctx context.Context, q pg.Querier, id mail.BlobID, actor string, now time.Time) (Blob, error) {
	rows, err := q.Query(ctx, sqlGetBlob, id, actor, now)
	if err != nil {
		return Blob{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanBlob)
}

const sqlListBlobs = `SELECT ` + blobColumns + ` FROM blob WHERE id = ANY ($1::uuid[]) AND actor = $2 AND expires_at > $3`

func listBlobs(ctx context.Context, q pg.Querier, ids []mail.BlobID, actor string, now time.Time) (map[mail.BlobID]Blob, error) {
	rows, err := q.Query(ctx, sqlListBlobs, uuids(ids), actor, now)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanBlob)
	out := make(map[mail.BlobID]Blob, len(list))
	for _, b := range list {
		out[b.ID] = b
	}
	return out, err
}

func scanBlob(row pgx.CollectableRow) (b Blob, err error) {
	var sum []byte
	err = row.Scan(&b.ID, &b.Actor, &b.File, &b.Size, &sum, &b.ContentType, &b.CreatedAt, &b.ExpiresAt)
	copy(b.SHA256[:], sum)
	b.CreatedAt, b.ExpiresAt = b.CreatedAt.UTC(), b.ExpiresAt.UTC()
	return b, err
}

const sqlDeleteBlob = `DELETE FROM blob WHERE id = $1 AND actor = $2 AND expires_at > $3 RETURNING file`

func deleteBlob(ctx context.Context, q pg.Querier, id mail.BlobID, actor string, now time.Time) (file string, err error) {
	err = q.QueryRow(ctx, sqlDeleteBlob, id, actor, now).Scan(&file)
	return file, err
}

const sqlExpireBlobs = `
DELETE FROM blob WHERE id IN (
    SELECT id FROM blob WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING file`

func expireBlobs(ctx context.Context, q pg.Querier, now time.Time) ([]string, error) {
	rows, err := q.Query(ctx, sqlExpireBlobs, now, expireBatch)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

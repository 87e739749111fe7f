package idem

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
)

const sqlInsertKey = `
INSERT INTO idempotency (key, fingerprint, owner, locked_until, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key) DO NOTHING`

const sqlGetKey = `
SELECT fingerprint, owner, locked_until, effect, status, header, body, created_at FROM idempotency WHERE key = $1`

const sqlTakeOver = `
UPDATE idempotency SET owner = $3, locked_until = $4
WHERE key = $1 AND owner = $2 AND effect IS NULL AND status IS NULL`

const sqlSetEffect = `UPDATE idempotency SET effect = $3 WHERE key = $1 AND owner = $2 AND effect IS NULL`

// The answer comes from the owner, or from whoever rendered the same effect.
const sqlSetAnswer = `
UPDATE idempotency SET status = $4, header = $5, body = $6
WHERE key = $1 AND status IS NULL AND (owner = $2 OR effect = $3)`

const sqlDeleteUnused = `DELETE FROM idempotency WHERE key = $1 AND owner = $2 AND effect IS NULL AND status IS NULL`

const sqlDeleteExpired = `DELETE FROM idempotency WHERE key = $1 AND created_at <= $2`

const sqlSweepKeys = `DELETE FROM idempotency WHERE created_at <= $1`

// keyRow is what is remembered of a request.
type keyRow struct {
	fingerprint []byte
	owner       [16]byte
	lockedUntil time.Time
	createdAt   time.Time
	effect      string
	answer      *Answer
}

func insertKey(ctx context.Context, q pg.Querier, key, fingerprint []byte, owner [16]byte, now time.Time) (bool, error) {
	tag, err := q.Exec(ctx, sqlInsertKey, key, fingerprint, owner, now.Add(Lease), now)
	return tag.RowsAffected() == 1, err
}

func getKey(ctx context.Context, q pg.Querier, key []byte) (row keyRow, found bool, err error) {
	var effect *string
	var status *int
	var header, body []byte
	err = q.QueryRow(ctx, sqlGetKey, key).
		Scan(&row.fingerprint, &row.owner, &row.lockedUntil, &effect, &status, &header, &body, &row.createdAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, false, nil
	}
	if err != nil {
		return row, false, err
	}
	if effect != nil {
		row.effect = *effect
	}
	if status != nil {
		row.answer = &Answer{Status: *status, Header: http.Header{}, Body: body}
		err = json.Unmarshal(header, &row.answer.Header)
	}
	return row, true, err
}

func takeOver(ctx context.Context, q pg.Querier, key []byte, from, to [16]byte, now time.Time) (bool, error) {
	tag, err := q.Exec(ctx, sqlTakeOver, key, from, to, now.Add(Lease))
	return tag.RowsAffected() == 1, err
}

func setEffect(ctx context.Context, q pg.Querier, key []byte, owner [16]byte, ref string) (bool, error) {
	tag, err := q.Exec(ctx, sqlSetEffect, key, owner, ref)
	return tag.RowsAffected() == 1, err
}

func setAnswer(ctx context.Context, q pg.Querier, key []byte, owner [16]byte, effect string, answer Answer) error {
	header := answer.Header
	if header == nil {
		header = http.Header{}
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	body := answer.Body
	if body == nil {
		body = []byte{}
	}
	_, err = q.Exec(ctx, sqlSetAnswer, key, owner, effect, answer.Status, string(text), body)
	return err
}

func deleteUnused(ctx context.Context, q pg.Querier, key []byte, owner [16]byte) error {
	_, err := q.Exec(ctx, sqlDeleteUnused, key, owner)
	return err
}

func deleteExpired(ctx context.Context, q pg.Querier, key []byte, before time.Time) error {
	_, err := q.Exec(ctx, sqlDeleteExpired, key, before)
	return err
}

func sweepKeys(ctx context.Context, q pg.Querier, before time.Time) (int64, error) {
	tag, err := q.Exec(ctx, sqlSweepKeys, before)
	return tag.RowsAffected(), err
}

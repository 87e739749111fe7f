package account

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const sessionSelect = `
SELECT id, account_id, token_hash, previous_hash, rotated_at, auth_epoch, user_agent, remote, created_at, last_used_at,
	expires_at, revoked_at
FROM session `

const (
	sqlGetSession  = sessionSelect + `WHERE id = $1`
	sqlLockSession = sessionSelect + `WHERE id = $1 FOR UPDATE`
)

const sqlInsertSession = `
INSERT INTO session (id, account_id, token_hash, rotated_at, auth_epoch, user_agent, remote, created_at, last_used_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $4, $4, $8)`

const sqlRotateSession = `
UPDATE session SET previous_hash = token_hash, token_hash = $2, rotated_at = $3, last_used_at = $3, remote = $4 WHERE id = $1`

const sqlRevokeSession = `UPDATE session SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`

const sqlSweepSessions = `DELETE FROM session WHERE revoked_at < $1 OR expires_at < $1 OR last_used_at < $2`

func getSession(ctx context.Context, q pg.Querier, sql string, id mail.SessionID) (s session, found bool, err error) {
	err = q.QueryRow(ctx, sql, id).Scan(&s.id, &s.account, &s.tokenHash, &s.previous, &s.rotatedAt, &s.epoch, &s.userAgent,
		&s.remote, &s.createdAt, &s.usedAt, &s.expiresAt, &s.revokedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, false, nil
	}
	return s, err == nil, err
}

func insertSession(ctx context.Context, q pg.Querier, s session) error {
	_, err := q.Exec(ctx, sqlInsertSession, s.id, s.account, s.tokenHash, s.createdAt, s.epoch, s.userAgent, s.remote, s.expiresAt)
	return err
}

func rotateSession(ctx context.Context, q pg.Querier, id mail.SessionID, hash []byte, now time.Time, remote string) error {
	_, err := q.Exec(ctx, sqlRotateSession, id, hash, now, remote)
	return err
}

func revokeSession(ctx context.Context, q pg.Querier, id mail.SessionID, now time.Time) (bool, error) {
	tag, err := q.Exec(ctx, sqlRevokeSession, id, now)
	return tag.RowsAffected() == 1, err
}

func sweepSessions(ctx context.Context, q pg.Querier, ended, idle time.Time) (int64, error) {
	tag, err := q.Exec(ctx, sqlSweepSessions, ended, idle)
	return tag.RowsAffected(), err
}

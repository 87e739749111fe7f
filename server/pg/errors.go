package pg

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes, PostgreSQL manual appendix A.
const (
	codeUniqueViolation      = "23505"
	codeDiskFull             = "53100"
	codeReadOnlyTransaction  = "25006"
	codeIdleInTransaction    = "25P03"
	codeSerializationFailure = "40001"
	codeDeadlock             = "40P01"
	codeLockNotAvailable     = "55P03"
	codeQueryCanceled        = "57014"
	codeIOError              = "58030"
	classConnection          = "08"
	classResources           = "53"
	classOperator            = "57P"
)

// IsUniqueViolation reports whether err is a duplicate under the named unique constraint or index. An empty name means any.
func IsUniqueViolation(err error, constraint string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == codeUniqueViolation &&
		(constraint == "" || refused.ConstraintName == constraint)
}

// DiskFull reports whether the database server has no room. Edges answer SMTP 452 4.3.1, and Unavailable is true as well.
func DiskFull(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == codeDiskFull
}

// Unavailable reports whether err means that the database cannot serve this now but may do so later: it is down, starting,
// stopping, out of connections or room, too slow, or not safe to write to. Edges answer SMTP 451, IMAP NO [UNAVAILABLE], HTTP
// 503. A caller that cancelled its own context has not met an unavailable database.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var refused *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &connect):
		return true
	case errors.As(err, &refused):
		return unavailableCode(refused.Code)
	}
	return isUnsafe(err) || isBroken(err)
}

func unavailableCode(code string) bool {
	switch code {
	case codeReadOnlyTransaction, codeIdleInTransaction, codeSerializationFailure, codeDeadlock, codeLockNotAvailable,
		codeQueryCanceled, codeIOError:
		return true
	}
	return strings.HasPrefix(code, classConnection) || strings.HasPrefix(code, classResources) || strings.HasPrefix(code, classOperator)
}

func isUnsafe(err error) bool {
	var unsafe *UnsafeError
	var old *VersionError
	return errors.As(err, &unsafe) || errors.As(err, &old)
}

// isBroken reports whether err is a lost connection or a wait that was too long.
func isBroken(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errPoolClosed) ||
		pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

// errPoolClosed answers InTx after Close.
var errPoolClosed = errors.New("the database pool is closed")

// commitUnknownError wraps the error of a COMMIT whose outcome nobody told us.
type commitUnknownError struct{ err error }

func (e *commitUnknownError) Error() string {
	return "the outcome of the commit is unknown: " + e.err.Error()
}
func (e *commitUnknownError) Unwrap() error { return e.err }

// CommitUnknown reports whether err comes from an InTx whose COMMIT was sent but never answered: the transaction may or may not
// have happened. Before telling the client anything, ask on a new connection whether the row is there (D-12).
func CommitUnknown(err error) bool {
	var unknown *commitUnknownError
	return errors.As(err, &unknown)
}

// commitError classifies the error of a COMMIT. Known failures are: nothing was sent, the server rolled back, or it refused with
// an ordinary error. A FATAL error may follow a commit that happened. So may ErrConnClosed: pgx 5.12 reports a connection that
// was lost after the COMMIT was sent with it, and calls it safe to retry all the same.
func commitError(err error) error {
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, pgconn.ErrConnClosed):
		return &commitUnknownError{err: err}
	case errors.Is(err, pgx.ErrTxCommitRollback), errors.Is(err, pgx.ErrTxClosed), pgconn.SafeToRetry(err):
		return err
	case errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR":
		return err
	}
	return &commitUnknownError{err: err}
}

package pg_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func rows(t *testing.T, pool *pg.Pool) string {
	t.Helper()
	result, err := pool.Query(t.Context(), "select a from t order by a")
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(result, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}

func insert(value string) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into t (a) values ($1)", value)
		return err
	}
}

func table(t *testing.T) *pg.Pool {
	t.Helper()
	pool := pgtest.DB(t)
	mustExec(t, pool, "create table t (a text unique deferrable initially deferred)")
	return pool
}

func TestTransactionIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	pool := table(t)
	if err := pg.InTx(t.Context(), pool, insert("kept")); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no")
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		return errors.Join(insert("lost")(ctx, tx), failed)
	})
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			_ = insert("panicked")(ctx, tx)
			panic("boom")
		})
	}()
	err = pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		_, _ = tx.Exec(ctx, "select nonsense") // ignored: the transaction is dead all the same
		return nil
	})
	if !errors.Is(err, pgx.ErrTxCommitRollback) || pg.CommitUnknown(err) {
		t.Errorf("a commit that rolled back: %v", err)
	}
	if got := rows(t, pool); got != "kept" {
		t.Errorf("rows %q", got)
	}
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections were not given back", n)
	}
}

func TestTransactionLevelAndLimits(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	err := pg.InTx(t.Context(), pool, func(_ context.Context, tx pgx.Tx) error {
		if got := show(t, tx, "transaction_isolation"); got != "read committed" {
			t.Errorf("isolation %s", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNestedTransactionIsAnError(t *testing.T) {
	t.Parallel()
	pool := table(t)
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := insert("outer")(ctx, tx); err != nil {
			return err
		}
		return pg.InTx(ctx, pool, insert("inner"))
	})
	if !errors.Is(err, pg.ErrNested) || rows(t, pool) != "" {
		t.Errorf("got %v, rows %q", err, rows(t, pool))
	}
}

func TestHooksRunBeforeTheCommitInOrderAndDecide(t *testing.T) {
	t.Parallel()
	pool := table(t)
	var order []string
	note := func(name string) pg.Hook {
		return func(ctx context.Context, tx pgx.Tx) error {
			order = append(order, name)
			return insert("hook-"+name)(ctx, tx)
		}
	}
	outer := pg.BeforeCommit(t.Context(), note("1"))
	both := pg.BeforeCommit(outer, note("2"))
	err := pg.InTx(both, pool, func(ctx context.Context, tx pgx.Tx) error {
		if same := pg.BeforeCommit(ctx, func(ctx context.Context, tx pgx.Tx) error {
			pg.BeforeCommit(ctx, note("4"))
			return note("3")(ctx, tx)
		}); same != ctx {
			t.Error("inside a transaction the context changes")
		}
		order = append(order, "fn")
		return insert("row")(ctx, tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(order); got != "[fn 1 2 3 4]" {
		t.Errorf("order %s", got)
	}
	if got := rows(t, pool); got != "hook-1 hook-2 hook-3 hook-4 row" {
		t.Errorf("rows %q", got)
	}

	// A sibling context does not see the second hook, an unrelated one none, and a later transaction not those of an earlier.
	order = nil
	mustExec(t, pool, "delete from t")
	if err := pg.InTx(outer, pool, insert("x")); err != nil {
		t.Fatal(err)
	}
	if err := pg.InTx(t.Context(), pool, insert("y")); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, pool); got != "hook-1 x y" {
		t.Errorf("rows %q", got)
	}

	// A hook that fails undoes the transaction; after a failure of fn no hook runs.
	refused := errors.New("key is taken")
	bad := pg.BeforeCommit(t.Context(), func(context.Context, pgx.Tx) error { return refused })
	if err := pg.InTx(bad, pool, insert("z")); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	order = nil
	if err := pg.InTx(outer, pool, func(context.Context, pgx.Tx) error { return refused }); !errors.Is(err, refused) || len(order) > 0 {
		t.Errorf("got %v, hooks %v", err, order)
	}
	if got := rows(t, pool); got != "hook-1 x y" {
		t.Errorf("rows %q", got)
	}
}

func TestAfterCommitRunsOnlyWhenSomethingMayHaveHappened(t *testing.T) {
	t.Parallel()
	pool := table(t)
	ran := 0
	run := func(fail error) error {
		return pg.InTx(t.Context(), pool, func(ctx context.Context, _ pgx.Tx) error {
			if !pg.AfterCommit(ctx, func() {
				ran++
				if fail == nil && pool.Stat().AcquiredConns() != 0 {
					t.Error("the connection is still taken while hints run")
				}
			}) {
				t.Error("not in a transaction?")
			}
			return fail
		})
	}
	if err := run(nil); err != nil || ran != 1 {
		t.Errorf("%v, ran %d", err, ran)
	}
	if err := run(errors.New("no")); err == nil || ran != 1 {
		t.Errorf("%v, ran %d", err, ran)
	}
	if pg.AfterCommit(t.Context(), func() {}) {
		t.Error("taken outside a transaction")
	}
}

func TestLostAnswerOfACommitIsUnknownAndNothingElseIs_D12(t *testing.T) {
	t.Parallel()
	pool := table(t)
	hinted := false
	// The connection is lost at COMMIT: a deferred check ends its own session, which is a FATAL error in the middle of it.
	mustExec(t, pool, `create function die() returns trigger language plpgsql as $$
		begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return new; end $$`)
	mustExec(t, pool, `create table fatal (a text)`)
	mustExec(t, pool, `create constraint trigger dies after insert on fatal deferrable initially deferred for each row execute function die()`)
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		pg.AfterCommit(ctx, func() { hinted = true })
		_, err := tx.Exec(ctx, "insert into fatal (a) values ('x')")
		return err
	})
	if !pg.CommitUnknown(err) || !pg.Unavailable(err) || !hinted {
		t.Errorf("lost at commit: %v, unknown %v, hinted %v", err, pg.CommitUnknown(err), hinted)
	}

	// The connection was lost before COMMIT was sent: known not to have happened.
	err = pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := insert("before")(ctx, tx); err != nil {
			return err
		}
		return tx.Conn().Close(ctx)
	})
	if err == nil || pg.CommitUnknown(err) {
		t.Errorf("lost before the commit: %v", err)
	}

	// The server refused: known.
	if err := pg.InTx(t.Context(), pool, insert("twice")); err != nil {
		t.Fatal(err)
	}
	err = pg.InTx(t.Context(), pool, insert("twice"))
	if !pg.IsUniqueViolation(err, "t_a_key") || pg.CommitUnknown(err) {
		t.Errorf("a deferred constraint: %v", err)
	}
	if pg.CommitUnknown(nil) {
		t.Error("nil is unknown")
	}
	if got := rows(t, pool); got != "twice" {
		t.Errorf("rows %q", got)
	}
}

func TestClientThatHangsUpDoesNotMakeTheCommitUnknown_D12(t *testing.T) {
	t.Parallel()
	pool := table(t)
	mustExec(t, pool, `create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.3); return new; end $$`)
	mustExec(t, pool, `create constraint trigger slows after insert on t deferrable initially deferred for each row execute function slow()`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := pg.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		time.AfterFunc(50*time.Millisecond, cancel) // in the middle of COMMIT
		return insert("kept")(ctx, tx)
	})
	if err != nil || rows(t, pool) != "kept" {
		t.Errorf("got %v, rows %q", err, rows(t, pool))
	}
	// One that hung up before is told, and nothing is committed.
	gone, hangUp := context.WithCancel(t.Context())
	err = pg.InTx(gone, pool, func(ctx context.Context, tx pgx.Tx) error {
		defer hangUp()
		return insert("lost")(ctx, tx)
	})
	if !errors.Is(err, context.Canceled) || pg.CommitUnknown(err) || rows(t, pool) != "kept" {
		t.Errorf("got %v, rows %q", err, rows(t, pool))
	}
}

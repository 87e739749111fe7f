package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/jobs"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// flow is a departure flow with the domain d.test, whose mail goes to the sink.
func flow(t *testing.T, pool *pg.Pool) *outbound.Service {
	t.Helper()
	log, notices, clk := slog.New(slog.DiscardHandler), bus.New(), clock.System()
	bodies, err := body.Open(body.Options{Dir: t.TempDir()}, clk, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bodies.Close() })
	domains := domain.New(pool, clk, notices, log, domain.Config{AutoVerify: true})
	if _, err := domains.Create(t.Context(), mail.System("test"), domain.Create{Name: "d.test"}); err != nil {
		t.Fatal(err)
	}
	return outbound.New(outbound.Config{Hostname: "host.test", Mode: outbound.ModeSink, MaxBytes: 1 << 20, RecipientsAPI: 10}, outbound.Deps{
		Pool: pool, Clock: clk, Log: log, Bodies: bodies, Domains: domains,
		Accounts: account.New(account.Deps{Pool: pool, Clock: clk, Log: log, Bus: notices, Limiter: limit.New(pool, clk, "none"), Domains: domains}, account.Config{}),
	})
}

// start runs the workers until the end of the test.
func start(t *testing.T, pool *pg.Pool, out *outbound.Service, tasks []jobs.Task) {
	t.Helper()
	client, err := queue.New(pool, queue.Config{
		Register: func(w *queue.Workers) error { return jobs.Register(w, out, tasks) },
		Periodic: jobs.Periodic(tasks), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := client.Stop(ctx); err != nil {
			t.Errorf("the workers did not stop: %v", err)
		}
	})
}

// await waits until a query gives true.
func await(t *testing.T, pool *pg.Pool, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for done := false; !done; {
		if err := pool.QueryRow(ctx, sql, args...).Scan(&done); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if !done {
			if err := clock.System().Sleep(ctx, 10*time.Millisecond); err != nil {
				t.Fatalf("%s did not come true", sql)
			}
		}
	}
}

func TestAnAcceptedEmailIsWorkedOnAtOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	out := flow(t, pool)
	start(t, pool, out, nil)
	a, b := mail.Address{Local: "shop", Domain: "d.test"}, mail.Address{Local: "x", Domain: "far.test"}
	e, err := out.Accept(t.Context(), mail.System("test"), outbound.Draft{
		From: outbound.Party{Address: a}, To: []outbound.Party{{Address: b}}, Text: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, pool, `SELECT EXISTS (SELECT FROM sink_message s JOIN email e ON e.id = s.email_id WHERE e.id = $1 AND e.status = 'delivered')`, e.ID)
	await(t, pool, `SELECT count(*) = 1 FROM river_job WHERE kind = 'outbound_attempt' AND state = 'completed'`)
}

func TestTasksRunAtTheStartAndAFailedOneIsTriedAgain(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	ran := make(chan string, 10)
	task := func(name string, err error) jobs.Task {
		return jobs.Task{Name: name, Every: time.Hour, Run: func(context.Context) error { ran <- name; return err }}
	}
	start(t, pool, flow(t, pool), []jobs.Task{task("sound", nil), task("shaky", errors.New("not now"))})
	if a, b := <-ran, <-ran; a == b {
		t.Fatalf("%s ran twice before the other", a)
	}
	await(t, pool, `SELECT EXISTS (SELECT FROM river_job WHERE args->>'task' = 'sound' AND state = 'completed')`)
	await(t, pool, `SELECT EXISTS (SELECT FROM river_job WHERE args->>'task' = 'shaky' AND cardinality(errors) > 0 AND finalized_at IS NULL)`)
}

// A task that a newer version has inserted does not fail on an older node for ever.
func TestATaskThatThisVersionDoesNotHaveIsLeftAlone(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	start(t, pool, flow(t, pool), nil)
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pg.Tx) error {
		// Two nodes that lead one after the other insert it twice.
		return errors.Join(queue.Insert(ctx, tx, jobs.TaskArgs{Task: "of tomorrow"}), queue.Insert(ctx, tx, jobs.TaskArgs{Task: "of tomorrow"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, pool, `SELECT bool_and(state = 'completed') FROM river_job WHERE kind = 'recurring_task'`)
	await(t, pool, `SELECT count(*) = 1 FROM river_job WHERE kind = 'recurring_task'`)
}

func TestEachWorkerIsRegisteredOnce(t *testing.T) {
	t.Parallel()
	_, err := queue.New(pgtest.DB(t), queue.Config{
		Register: func(w *queue.Workers) error {
			return errors.Join(jobs.Register(w, nil, nil), jobs.Register(w, nil, nil))
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		t.Fatal("a second registration was silently taken")
	}
}

package outbound_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/outbound"
)

// A killed worker's mail moves again in at most 45 s: the job is gone, the rows are not.
func TestTheScannerWakesWhatAKilledWorkerLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	e := w.accept("ann@d.test", "x@far.test", "y@far.test")
	begin := w.clk.Now()
	kill := func() { w.exec(`DELETE FROM river_job`) }
	kill()
	w.clk.Set(begin.Add(14 * time.Second))
	w.wake()
	if n := w.jobs(e.ID); n != 0 {
		t.Fatalf("%d jobs while the first one may still run", n)
	}
	w.clk.Set(begin.Add(15 * time.Second))
	w.wake()
	w.wake()
	if n := w.jobs(e.ID); n != 1 {
		t.Fatalf("%d jobs for three due recipients of one email, want 1", n)
	}
	kill() // again
	w.clk.Set(begin.Add(44 * time.Second))
	w.wake()
	if n := w.jobs(e.ID); n != 0 {
		t.Fatalf("%d jobs within the lease", n)
	}
	w.clk.Set(begin.Add(45 * time.Second))
	w.wake()
	if n := w.jobs(e.ID); n != 1 {
		t.Fatalf("%d jobs after the second kill, want 1", n)
	}
	w.attempt(e.ID)
	w.clk.Advance(24 * time.Hour)
	w.wake()
	if n := w.jobs(e.ID); n != 1 || len(w.inbox(ann.ID)) != 1 {
		t.Fatalf("%d jobs; finished mail was woken", n)
	}
}

// A deferred recipient is attempted again although the worker that was woken for it died.
func TestTheScannerWakesDeferredMailAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.user("ann@d.test")
	e := w.accept("ann@d.test")
	w.exec(`DELETE FROM river_job`)
	w.exec(`UPDATE email_recipient SET status = 'deferred', updated_at = $1, next_at = $1::timestamptz + interval '1 minute', wake_at = $1::timestamptz + interval '1 minute'`, w.clk.Now())
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{59 * time.Second, 0}, {time.Second, 1}, {29 * time.Second, 1}, {time.Second, 2}} {
		w.clk.Advance(step.wait)
		w.wake()
		if n := w.jobs(e.ID); n != step.want {
			t.Fatalf("%d jobs, want %d", n, step.want)
		}
	}
	w.attempt(e.ID) // although the scanner has moved the time of the next attempt
	if got := w.get(e.ID); got.Status != outbound.Delivered {
		t.Fatalf("got %s", brief(got))
	}
}

// With no worker alive the queue is not filled with ever more jobs.
func TestTheScannerDoesNotFloodAStandingQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	e := w.accept("x@far.test")
	for range 2 * 60 * 12 { // two hours, every five seconds
		w.clk.Advance(5 * time.Second)
		w.wake()
	}
	if n := w.jobs(e.ID); n > 25 {
		t.Fatalf("%d jobs in two hours", n)
	}
	before := w.jobs(e.ID)
	w.clk.Advance(10 * time.Minute)
	w.wake()
	if w.jobs(e.ID) == before {
		t.Fatal("the email is not woken any more")
	}
}

// Mail that this mode cannot send does not stand in the way of mail that it can deliver, and is found again later.
func TestMailThatWaitsForAnotherModeIsParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeDirect})
	w.user("ann@d.test")
	var far []string
	for i := range 600 {
		far = append(far, fmt.Sprintf("x%d@far.test", i))
	}
	parked := w.accept(far...)
	mine := w.accept("ann@d.test")
	w.exec(`DELETE FROM river_job`)
	w.clk.Advance(time.Minute)
	w.out = w.flow(outbound.ModeNone, w.in)
	w.wake()
	w.wake()
	if w.jobs(parked.ID) != 0 || w.jobs(mine.ID) != 1 {
		t.Fatalf("%d jobs for parked mail, %d for ours", w.jobs(parked.ID), w.jobs(mine.ID))
	}
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE wake_at <= $1`, w.clk.Now()); n != 0 {
		t.Fatalf("%d rows are looked at in each scan", n)
	}
	w.clk.Advance(time.Hour)
	if _, err := w.flow(outbound.ModeSink, w.in).WakeDue(t.Context()); err != nil || w.jobs(parked.ID) != 1 {
		t.Fatalf("%d jobs after a change of mode, %v", w.jobs(parked.ID), err)
	}
}

func TestScannersOfSeveralNodesShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	var emails []*outbound.Email
	for i := range 20 {
		emails = append(emails, w.accept(fmt.Sprintf("x%d@far.test", i)))
	}
	w.exec(`DELETE FROM river_job`)
	w.clk.Advance(time.Minute)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := w.out.WakeDue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.wake() // what was locked while another looked
	for _, e := range emails {
		if n := w.jobs(e.ID); n != 1 {
			t.Errorf("%d jobs", n)
		}
	}
}

func TestScanRunsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	e := w.accept("x@far.test")
	w.exec(`DELETE FROM river_job`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.out.Scan(ctx) }()
	for range 4 {
		if err := w.clk.BlockUntil(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		w.clk.Advance(5 * time.Second)
	}
	if err := w.clk.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n := w.jobs(e.ID); n != 1 {
		t.Errorf("%d jobs", n)
	}
	cancel()
	<-done
}

// The scan reads the due rows from their index, however many others there are.
func TestTheScanReadsOnlyDueRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.manyEmails(10_000)
	w.exec(`UPDATE email_recipient SET status = 'queued', next_at = now(), wake_at = now() WHERE position = 0 AND email_id IN (SELECT id FROM email ORDER BY id LIMIT 20)`)
	w.exec(`ANALYZE email_recipient`)
	plan := w.explain(outbound.SQLDue, time.Now(), true, false, 30*time.Second, 10*time.Minute, time.Hour, 500, 2*time.Minute)
	if strings.Contains(plan, "Seq Scan on email") || !strings.Contains(plan, "email_recipient_wake_idx") {
		t.Errorf("the plan is\n%s", plan)
	}
}

// explain gives the plan of a statement with its values, as it was carried out.
func (w *world) explain(sql string, args ...any) string {
	w.t.Helper()
	args = append([]any{pgx.QueryExecModeCacheDescribe}, args...)
	rows, err := w.pool.Query(w.t.Context(), "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) "+sql, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

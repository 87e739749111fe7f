package idem_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

type world struct {
	keys *idem.Keys
	clk  *clock.Fake
	pool *pg.Pool
}

func setup(t *testing.T) world {
	t.Helper()
	pool, clk := pgtest.DB(t), clock.NewFake(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	if _, err := pool.Exec(t.Context(), `CREATE TABLE thing (id text PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	return world{idem.New(pool, clk), clk, pool}
}

func request(key string) idem.Request {
	return idem.Request{
		Credential: "key_1", Method: "POST", Route: "/v1/things", Key: key, Fingerprint: sha256.Sum256([]byte("body")),
	}
}

// makeThing is a service: it makes a thing and names it.
func (w world) makeThing(ctx context.Context, id string) error {
	return pg.InTx(ctx, w.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO thing (id) VALUES ($1)`, id); err != nil {
			return err
		}
		idem.SetEffect(ctx, id)
		return nil
	})
}

func (w world) things(t *testing.T) (n int) {
	t.Helper()
	if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM thing`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (w world) begin(t *testing.T, key string) *idem.Attempt {
	t.Helper()
	a, err := w.keys.Begin(t.Context(), request(key))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFiftyParallelIdenticalRequestsHaveOneEffect(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var effects, replays, running, rendered atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 50 {
		wg.Go(func() {
			<-start
			a, err := w.keys.Begin(t.Context(), request("once"))
			switch {
			case fault.CodeOf(err) == "idempotency-in-progress":
				running.Add(1)
				return
			case err != nil:
				t.Error(err)
				return
			case a.Replay != nil:
				replays.Add(1)
				return
			case a.Effect != "":
				rendered.Add(1)
				return
			}
			id := fmt.Sprintf("thing_%d", i)
			if err := w.makeThing(a.Context(t.Context()), id); err != nil {
				t.Error(err)
				return
			}
			effects.Add(1)
			if err := a.Finish(t.Context(), http.StatusCreated, http.Header{"Location": {"/v1/things/" + id}}, []byte(id)); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if effects.Load() != 1 || w.things(t) != 1 {
		t.Fatalf("%d effects and %d things, want 1", effects.Load(), w.things(t))
	}
	if sum := 1 + replays.Load() + running.Load() + rendered.Load(); sum != 50 {
		t.Fatalf("%d of 50 requests were answered", sum)
	}
	a := w.begin(t, "once")
	if a.Replay == nil || a.Replay.Status != http.StatusCreated || !strings.HasPrefix(string(a.Replay.Body), "thing_") ||
		a.Replay.Header.Get("Location") != "/v1/things/"+string(a.Replay.Body) {
		t.Fatalf("the next request is answered with %+v", a.Replay)
	}
}

func TestACrashBetweenEffectAndAnswerShowsTheEffectToTheNext(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.begin(t, "k")
	if err := w.makeThing(a.Context(t.Context()), "thing_1"); err != nil {
		t.Fatal(err)
	}
	// The process is gone here: nobody calls Finish.
	retry := w.begin(t, "k")
	if retry.Effect != "thing_1" || retry.Replay != nil {
		t.Fatalf("the retry sees effect %q", retry.Effect)
	}
	if err := retry.Finish(t.Context(), http.StatusCreated, nil, []byte("rendered")); err != nil {
		t.Fatal(err)
	}
	if third := w.begin(t, "k"); third.Replay == nil || string(third.Replay.Body) != "rendered" {
		t.Fatalf("the answer rendered from the effect was not kept: %+v", third.Replay)
	}
}

func TestACrashBeforeTheEffectLetsTheNextTakeOverAfterTheLease(t *testing.T) {
	t.Parallel()
	w := setup(t)
	slow := w.begin(t, "k")
	w.clk.Advance(idem.Lease - time.Second)
	if _, err := w.keys.Begin(t.Context(), request("k")); fault.CodeOf(err) != "idempotency-in-progress" || !fault.Is(err, fault.Conflict) {
		t.Fatalf("within the lease: %v", err)
	}
	w.clk.Advance(time.Second)
	next := w.begin(t, "k")
	if next.Effect != "" || next.Replay != nil {
		t.Fatalf("the taker-over is not to carry out the request: %+v", next)
	}
	// The first attempt was only slow, not dead: what it makes now must not stay.
	if err := w.makeThing(slow.Context(t.Context()), "late"); !fault.Is(err, fault.Conflict) {
		t.Fatalf("the slow attempt went through: %v", err)
	}
	if err := w.makeThing(next.Context(t.Context()), "thing_1"); err != nil {
		t.Fatal(err)
	}
	if n := w.things(t); n != 1 {
		t.Fatalf("%d things, want 1", n)
	}
	if err := slow.Finish(t.Context(), http.StatusOK, nil, []byte("wrong")); err != nil {
		t.Fatal(err)
	}
	if err := slow.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := w.begin(t, "k"); again.Effect != "thing_1" {
		t.Fatalf("the slow attempt overwrote the outcome: %+v", again)
	}
}

func TestOnlyOneOfManyTakesAnAbandonedKeyOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.begin(t, "k")
	w.clk.Advance(idem.Lease)
	var takers atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := w.keys.Begin(t.Context(), request("k"))
			if err == nil {
				takers.Add(1)
			} else if fault.CodeOf(err) != "idempotency-in-progress" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if takers.Load() != 1 {
		t.Fatalf("%d requests took over, want 1", takers.Load())
	}
}

func TestARolledBackTransactionLeavesTheKeyWithoutEffect(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.begin(t, "k")
	ctx, boom := a.Context(t.Context()), errors.New("boom")
	err := pg.InTx(ctx, w.pool, func(ctx context.Context, _ pgx.Tx) error {
		idem.SetEffect(ctx, "never")
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if err := a.Finish(t.Context(), http.StatusUnprocessableEntity, nil, []byte("no")); err != nil {
		t.Fatal(err)
	}
	if retry := w.begin(t, "k"); retry.Replay != nil || retry.Effect != "" {
		t.Fatalf("a refused request is remembered: %+v", retry)
	}
}

func TestRefusalsThatMayPassAreNotReplayed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for status, replayed := range map[int]bool{
		200: true, 201: true, 202: true, 204: true, 404: true, 409: true, 400: false, 422: false, 429: false, 500: false, 503: false,
	} {
		key := fmt.Sprint(status)
		if err := w.begin(t, key).Finish(t.Context(), status, nil, nil); err != nil {
			t.Fatal(err)
		}
		if again := w.begin(t, key); (again.Replay != nil) != replayed {
			t.Errorf("status %d: replayed %v, want %v", status, again.Replay != nil, replayed)
		}
	}
}

func TestAFailureAfterTheEffectKeepsTheEffect(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.begin(t, "k")
	if err := w.makeThing(a.Context(t.Context()), "thing_1"); err != nil {
		t.Fatal(err)
	}
	if err := a.Finish(t.Context(), http.StatusInternalServerError, nil, nil); err != nil {
		t.Fatal(err)
	}
	if again := w.begin(t, "k"); again.Effect != "thing_1" {
		t.Fatalf("the retry after a 500 sees %+v and would do it twice", again)
	}
}

func TestAKeyBelongsToOneRequest(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.begin(t, "k")
	other := request("k")
	other.Fingerprint = sha256.Sum256([]byte("another body"))
	if _, err := w.keys.Begin(t.Context(), other); fault.CodeOf(err) != "idempotency-key-reused" || !fault.Is(err, fault.Invalid) {
		t.Fatalf("another body under the same key: %v", err)
	}
	for name, change := range map[string]func(*idem.Request){
		"credential": func(r *idem.Request) { r.Credential = "key_2" },
		"method":     func(r *idem.Request) { r.Method = "PUT" },
		"route":      func(r *idem.Request) { r.Route = "/v1/others" },
		// The parts must not run into each other.
		"boundary": func(r *idem.Request) { r.Credential, r.Method = "key_1P", "OST" },
	} {
		r := request("k")
		change(&r)
		if a, err := w.keys.Begin(t.Context(), r); err != nil || a.Replay != nil {
			t.Errorf("another %s shares the key: %v", name, err)
		}
	}
}

func TestAnAnswerIsForgottenAfterADay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, key := range []string{"swept", "asked"} {
		if err := w.begin(t, key).Finish(t.Context(), 201, nil, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	w.clk.Advance(idem.Keep - time.Second)
	if n, err := w.keys.Sweep(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d keys were forgotten within the day (%v)", n, err)
	}
	if w.begin(t, "asked").Replay == nil {
		t.Fatal("no replay within the day")
	}
	w.clk.Advance(time.Second)
	if w.begin(t, "asked").Replay != nil {
		t.Fatal("a replay after a day")
	}
	if n, err := w.keys.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("the sweep forgot %d keys (%v), want the other one", n, err)
	}
}

func TestTwoTransactionsOfOneRequestNeedNotBothHaveAnEffect(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.begin(t, "k")
	ctx := a.Context(t.Context())
	if err := w.makeThing(ctx, "thing_1"); err != nil {
		t.Fatal(err)
	}
	err := pg.InTx(ctx, w.pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO thing (id) VALUES ('by the way')`)
		return err
	})
	if err != nil {
		t.Fatalf("a transaction without an effect of its own: %v", err)
	}
	idem.SetEffect(t.Context(), "outside of any attempt")
}

func TestALargeAnswerIsRenderedFromTheEffectInstead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.begin(t, "k")
	if err := w.makeThing(a.Context(t.Context()), "thing_1"); err != nil {
		t.Fatal(err)
	}
	if err := a.Finish(t.Context(), 200, nil, make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	if again := w.begin(t, "k"); again.Replay != nil || again.Effect != "thing_1" {
		t.Fatalf("%+v", again)
	}
}

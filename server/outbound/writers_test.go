package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/testenv/remote"
)

// However many letters have just been sent, whoever asks the API does not stand in line behind their results.
func TestResultsLeaveConnectionsToEverybodyElse(t *testing.T) {
	t.Parallel()
	mx := remote.Start(t)
	routes := map[string]string{}
	names := make([]string, 15) // more than the pool has connections
	for i := range names {
		names[i] = fmt.Sprintf("far%d.test", i)
		routes[names[i]] = mx.Addr().String()
	}
	w := newWorld(t, settings{mode: outbound.ModeDirect, routes: routes})
	for _, name := range names {
		w.accept("x@" + name)
	}
	lock, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := lock.Exec(t.Context(), `SELECT id FROM email FOR UPDATE`); err != nil { // no result can be stored
		t.Fatal(err)
	}
	ended := make(chan error, len(names))
	for _, name := range names {
		go func() { ended <- w.out.Drain(t.Context(), name) }()
	}
	mx.WaitFor(t, len(names))
	waiting := `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for blocked := 0; blocked < 2; { // the results are on their way
		_, err := lock.Exec(t.Context(), `SELECT pg_stat_clear_snapshot()`)
		if err = errors.Join(err, lock.QueryRow(t.Context(), waiting).Scan(&blocked)); err != nil {
			t.Fatal(err)
		}
	}
	soon, cancel := context.WithTimeout(t.Context(), 3*time.Second) // less than a result waits for its lock
	defer cancel()
	for range 10 {
		if err := w.pool.QueryRow(soon, `SELECT 1 FROM pg_sleep(0.01)`).Scan(new(int)); err != nil {
			t.Fatalf("no connection is left: %v", err)
		}
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range names {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := query[int](w, `SELECT count(*) FROM email WHERE status = 'delivered'`); n != len(names) {
		t.Errorf("%d letters are known to be delivered", n)
	}
}

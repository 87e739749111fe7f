package obs_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/obs"
)

func well(context.Context) error { return nil }

func TestTheReportNamesWhatFailedAndHidesWhy_S50(t *testing.T) {
	t.Parallel()
	h := obs.NewHealth(clock.System())
	h.Register("database", well)
	h.Register("queue", func(context.Context) error { return errors.New("dial 10.1.2.3: refused") })
	h.Register("storage", well)
	report := h.Check(t.Context())
	body, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"status":"failed","components":{"database":"ok","queue":"failed","storage":"ok"}}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Error(diff)
	}
	if report.OK() || report.Errors["queue"] == nil || report.Errors["database"] != nil {
		t.Errorf("got %+v", report)
	}
}

func TestAWellServerSaysSo(t *testing.T) {
	t.Parallel()
	h := obs.NewHealth(clock.System())
	for _, name := range []string{"database", "queue", "storage"} {
		h.Register(name, well)
	}
	body, err := json.Marshal(h.Check(t.Context()))
	want := `{"status":"ok","components":{"database":"ok","queue":"ok","storage":"ok"}}`
	if err != nil || string(body) != want {
		t.Errorf("%s %v", body, err)
	}
}

func TestAFloodOfProbesRunsEachCheckOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		h := obs.NewHealth(clock.System())
		h.Register("database", func(ctx context.Context) error {
			calls.Add(1)
			return clock.System().Sleep(ctx, 100*time.Millisecond)
		})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if !h.Check(t.Context()).OK() {
					t.Error("not well")
				}
			})
		}
		wg.Wait()
		h.Check(t.Context())
		if got := calls.Load(); got != 1 {
			t.Errorf("%d calls within a second", got)
		}
		if err := clock.System().Sleep(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
		h.Check(t.Context())
		if got := calls.Load(); got != 2 {
			t.Errorf("%d calls after a second", got)
		}
	})
}

func TestAHangingCheckFailsAfterTwoSecondsAndIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		h := obs.NewHealth(clock.System())
		h.Register("storage", func(context.Context) error {
			calls.Add(1)
			<-release
			return nil
		})
		h.Register("database", well)
		begin := clock.System().Now()
		report := h.Check(t.Context())
		if took := clock.Since(clock.System(), begin); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
		if report.Components["storage"] != "failed" || report.Components["database"] != "ok" {
			t.Errorf("got %+v", report)
		}
		if err := clock.System().Sleep(t.Context(), 5*time.Second); err != nil {
			t.Error(err)
		}
		if h.Check(t.Context()).OK() || calls.Load() != 1 {
			t.Errorf("the stuck check was called %d times", calls.Load())
		}
		close(release)
		synctest.Wait()
		if err := clock.System().Sleep(t.Context(), 5*time.Second); err != nil {
			t.Error(err)
		}
		if !h.Check(t.Context()).OK() {
			t.Error("the server does not recover")
		}
	})
}

func TestACallerWhoLeavesDoesNotSpoilTheReportOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := obs.NewHealth(clock.System())
		h.Register("database", func(ctx context.Context) error { return clock.System().Sleep(ctx, time.Second) })
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan obs.Report)
		go func() { first <- h.Check(ctx) }()
		synctest.Wait()
		cancel()
		if (<-first).OK() {
			t.Error("the caller who left got a good report")
		}
		if !h.Check(t.Context()).OK() {
			t.Error("the other caller got the first one's cancellation")
		}
	})
}

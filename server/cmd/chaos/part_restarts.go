package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// reconnectWithin is how soon after a start clients of every kind have had something acknowledged.
	reconnectWithin = 20 * time.Second
	// verifyEvery says after which of the stops verify runs: it takes longer than a stop and a start.
	verifyEvery = 20
	// lastStops are those before which clients leave addresses alone that refuse mail; see load.mild.
	lastStops = 25
)

// restartsResult is what came of the graceful restarts.
type restartsResult struct {
	Planned int       `json:"planned"`
	Done    int       `json:"done"`
	Stops   []float64 `json:"stop_seconds"`
	Ready   []float64 `json:"ready_seconds"`
	// Reconnected is the time from a start until clients of every kind had something acknowledged.
	Reconnected []float64 `json:"reconnect_seconds"`
	Fewest      int64     `json:"fewest_acknowledged"` // between two stops
	// Underway are the letters and operations that a SIGTERM met, by the way they came.
	Underway map[string]underway `json:"underway"`
}

// stopAndStart sends SIGTERM under load again and again (F-18).
func (s *site) stopAndStart(ctx context.Context) error {
	r := &s.res.Restarts
	for i, after := range planRestarts(s.seed, s.restarts) {
		if s.restarts-i <= lastStops {
			s.load.mild.Store(true)
		}
		if err := s.everyWay(ctx); err != nil {
			return err
		}
		if err := s.serve(ctx, after); err != nil {
			return err
		}
		s.terminate(ctx)
		acked := s.load.acked.Load() - s.had
		if r.Done == 0 || acked < r.Fewest {
			r.Fewest = acked
		}
		if r.Done++; r.Done%verifyEvery == 0 || r.Done == s.restarts {
			s.verify(ctx, fmt.Sprintf("graceful stop %d", r.Done))
		}
		if err := s.restart(ctx); err != nil {
			return err
		}
		r.Stops, r.Ready = append(r.Stops, s.res.StopTimes[len(s.res.StopTimes)-1]), append(r.Ready, s.res.Ready[len(s.res.Ready)-1])
		if r.Done%10 == 0 || r.Done == s.restarts {
			fmt.Fprintf(s.out, "  %3d of %d: stops %s\n", r.Done, s.restarts, spread(r.Stops))
		}
	}
	return s.everyWay(ctx)
}

// everyWay waits until clients of every kind have had something acknowledged from now on, which after a start is: have reconnected.
func (s *site) everyWay(ctx context.Context) error {
	begin, before := time.Now(), s.load.marks.read()
	for time.Since(begin) < reconnectWithin {
		if missing(before, s.load.marks.read()) == "" {
			s.res.Restarts.Reconnected = append(s.res.Restarts.Reconnected, since(begin))
			return s.alive()
		}
		if err := s.serve(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	s.res.violate(violation{classSlow, fmt.Sprintf("%s after start %d nothing was acknowledged over %s", reconnectWithin, s.life, missing(before, s.load.marks.read()))})
	return s.alive()
}

// missing names a way over which nothing was acknowledged; "" when there is none.
func missing(before, now [ways]int64) string {
	for way := range ways {
		if now[way] == before[way] {
			return wayName(way)
		}
	}
	return ""
}

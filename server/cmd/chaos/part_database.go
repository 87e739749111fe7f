package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// troubleResult is what came of one time in which the server lacked something. The counts of replies are those of the ledger.
type troubleResult struct {
	comeback

	What  lack    `json:"lacking"`
	After float64 `json:"after_seconds"`  // since the run began
	Lasts float64 `json:"lasted_seconds"` // until we gave it back; 0 when the server had to help itself
	// Processes is how many of the database were killed.
	Processes int `json:"processes_killed,omitempty"`
	// Reads counts how often a message was read and another removed meanwhile.
	Reads int `json:"read_and_removed,omitempty"`
	replies
}

// note adds a trouble to what explains the ledger, with its result.
func (s *site) note(t trouble, res *troubleResult) {
	s.deeds.troubles = append(s.deeds.troubles, t)
	s.results = append(s.results, res)
	if res.What = t.what; t.what == lackDatabase {
		s.res.Blackouts = append(s.res.Blackouts, res)
	} else {
		s.res.Fillings = append(s.res.Fillings, res)
	}
	if len(res.Ways) == ways && res.Slowest > backWithin.Seconds() {
		s.res.violate(violation{classSlow, fmt.Sprintf("without %s: all works again after %.2f s, more than %s", t.what, res.Slowest, backWithin)})
	}
}

// loseDatabase kills the database below the living server again and again (F-7). Nobody starts it but the server.
func (s *site) loseDatabase(ctx context.Context) error {
	for i, c := range planCuts(s.seed, s.cuts) {
		if err := s.serve(ctx, c.after); err != nil {
			return err
		}
		if c.halfway {
			s.awaitHalfway(ctx)
		}
		res, err := s.cutDatabase(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "  %2d of %d: SIGKILL of %d processes of the database at %.0f s, every way of mail again after %.2f s, health failed: %v\n",
			i+1, s.cuts, res.Processes, res.After, res.Slowest, res.Failed)
	}
	return s.serve(ctx, 2*time.Second)
}

func (s *site) cutDatabase(ctx context.Context) (*troubleResult, error) {
	t := s.gate.pass(ctx)
	if t == nil {
		return nil, context.Cause(ctx)
	}
	res := &troubleResult{After: since(s.begin)}
	lacking := trouble{span: span{from: time.Now()}, what: lackDatabase}
	killed, err := s.proc.killBelow(ctx)
	if err != nil {
		return nil, err
	}
	res.Processes = killed
	res.comeback, err = s.watch.await(ctx, t, lacking.from)
	lacking.to = time.Now()
	s.note(lacking, res)
	return res, s.orDead(err)
}

// orDead names the end of the server as the reason, if it has ended.
func (s *site) orDead(err error) error {
	return errors.Join(s.alive(), err)
}

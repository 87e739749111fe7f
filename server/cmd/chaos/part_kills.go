package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// firstGuess is the time from a kill to the next service, before it was measured.
const firstGuess = 4 * time.Second

// killer carries out the part with the kills (F-4), while one of the other servers is away for some time.
type killer struct {
	*site

	down  time.Duration // all times from an end to the next service
	downs int
}

func (k *killer) run(ctx context.Context) error {
	within, cancel := context.WithCancel(ctx)
	away := make(chan outageResult, 1)
	go func() { away <- planOutage(k.seed, k.lasting).carryOut(within, k.far, k.gate) }()
	err := k.deaths(ctx)
	if err != nil {
		cancel()
	}
	k.res.Outage = <-away
	cancel()
	if k.res.Outage.Failure != "" {
		err = errors.Join(err, errors.New(k.res.Outage.Failure))
	}
	return err
}

// deaths carries the plan out.
func (k *killer) deaths(ctx context.Context) error {
	plan := planKills(k.seed, k.kills, k.stops)
	begin := time.Now()
	for i, s := range plan {
		left := k.lasting - time.Since(begin)
		if k.short && left < k.lasting/2 {
			k.load.mild.Store(true)
		}
		if left < -k.lasting/4 {
			k.res.violate(violation{classSlow, fmt.Sprintf("only %d of %d ends of the server fitted into %s", i, len(plan), k.lasting)})
			return nil
		}
		if err := k.serve(ctx, s.uptime(left, len(plan)-i, k.overhead())); err != nil {
			return err
		}
		if err := k.die(ctx, s); err != nil {
			return err
		}
		fmt.Fprintf(k.out, "  %2d of %d: %s\n", i+1, len(plan), k.progress())
	}
	return nil
}

func (k *killer) overhead() time.Duration {
	if k.downs == 0 {
		return firstGuess
	}
	return k.down / time.Duration(k.downs)
}

// die ends the server as the step says, looks at what is left, and starts it again.
func (k *killer) die(ctx context.Context, s step) error {
	begin := time.Now()
	if err := k.end(ctx, s); err != nil {
		return err
	}
	if s.again {
		if err := k.dieAgain(ctx, s); err != nil {
			return err
		}
	}
	k.verify(ctx, fmt.Sprintf("end %d", len(k.res.Deaths)))
	if err := k.restart(ctx); err != nil {
		return err
	}
	k.down += time.Since(begin)
	k.downs++
	return nil
}

// end ends the server and notes how.
func (k *killer) end(ctx context.Context, s step) error {
	if s.ending == kill {
		k.awaitHalfway(ctx)
	}
	d := death{After: since(k.begin), Uptime: since(k.up), How: "SIGKILL"}
	switch {
	case s.ending == interrupt:
		d.How = "SIGTERM"
		k.res.Stops++
		k.terminate(ctx)
	case s.whole:
		d.How = "SIGKILL of all"
		k.res.WholeKills++
		fallthrough
	default:
		k.res.Kills++
		err := k.kill(ctx, s.whole, d.How)
		k.gate.shut()
		if err != nil {
			return err
		}
	}
	d.Acked = k.load.acked.Load() - k.had
	k.res.Deaths = append(k.res.Deaths, d)
	return nil
}

// dieAgain starts the server on what the kill left and kills it before any client comes.
func (k *killer) dieAgain(ctx context.Context, s step) error {
	proc, err := k.spawn(ctx)
	if err != nil {
		return err
	}
	d := death{How: "SIGKILL during the start"}
	if s.early > 0 {
		pause(ctx, s.early)
	} else {
		took, err := proc.await(ctx)
		if err != nil {
			return err
		}
		k.readyIn(took)
		d.How = "SIGKILL right after the start"
	}
	k.res.EarlyKills++
	d.After = since(k.begin)
	k.res.Deaths = append(k.res.Deaths, d)
	return k.kill(ctx, s.whole, d.How)
}

func (k *killer) progress() string {
	d, v := k.res.Deaths[len(k.res.Deaths)-1], k.res.Verifications[len(k.res.Verifications)-1]
	clean := "clean"
	if !v.Clean {
		clean = "NOT clean"
	}
	return fmt.Sprintf("%s at %.0f s, verify %s in %.1f s, ready in %.2f s, %d operations acknowledged so far",
		d.How, d.After, clean, v.Seconds, k.res.Ready[len(k.res.Ready)-1], k.load.acked.Load())
}

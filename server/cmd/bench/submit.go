package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// sinkRecipients is how many addresses of the sink get letters.
const sinkRecipients = 100

// submit sends small letters as signed-in users to another domain and waits until all of them are at the sink.
func (r *runner) submit(b *bout) error {
	letters := newSeries(r.paper, onlySmall)
	work := senders{
		connections: r.plan.submit.connections, letters: r.plan.submit.letters, most: r.plan.most, per: perLogin,
		open: func(ctx context.Context, worker int) (*smtpClient, error) {
			c, err := openSMTP(ctx, b.server.dialer, b.server.submission, b.server.secure)
			if err != nil {
				return nil, err
			}
			if err := c.login(account(worker), password); err != nil {
				c.conn.Close()
				return nil, fmt.Errorf("AUTH: %w", err)
			}
			return c, nil
		},
		letter: func(worker, n int) letter {
			return letters.letter(n, account(worker), fmt.Sprintf("r%d@%s", n%sinkRecipients+1, sinkDomain))
		},
	}
	// The first sign-in of an account costs a password hash; how many a second is another measure.
	err := parallel(b.ctx, work.connections, firstLoginsAtOnce, func(worker int) error {
		c, err := work.open(b.ctx, worker)
		if err == nil {
			c.close()
		}
		return err
	})
	if err != nil {
		return err
	}
	s, err := b.begin("submission")
	if err != nil {
		return err
	}
	broken := work.run(b.ctx, b.ledger) // what was accepted is verified all the same
	sent := time.Since(s.before.at)
	sendings := b.ledger.taken()
	arrived, err := r.atSink(b.ctx, letters.name, len(sendings))
	if err != nil {
		return errors.Join(broken, err)
	}
	cost, err := s.finish()
	if err != nil {
		return errors.Join(broken, err)
	}
	b.each(len(sendings))
	seen := summarise(arrived)
	var toSink []time.Duration
	for _, sending := range sendings {
		if at, ok := seen.first[sending.letter.id]; ok {
			toSink = append(toSink, at.Sub(sending.dot))
		}
	}
	b.values["submit.sink_per_s"] = rate(len(seen.first), seen.last.Sub(s.before.at))
	b.values["submit.accepted_per_s"] = rate(len(sendings), sent)
	b.values.spread("submit.dot", b.ledger.dots())
	b.values.spread("submit.to_sink", toSink)
	b.values["submit.cpu_ms"] = share(millis(cost.cpu), len(sendings))
	b.values["submit.signed_percent"] = share(100*float64(seen.signed), len(arrived))
	b.values["submit.others_cores"] = cost.others
	b.judge(seen.found)
	return broken
}

// atSinkSummary is what came to the sink.
type atSinkSummary struct {
	found  []finding
	first  map[string]time.Time // when each letter came first
	last   time.Time            // when the last of them did
	signed int
}

func summarise(arrived []arrival) atSinkSummary {
	s := atSinkSummary{first: map[string]time.Time{}}
	for _, a := range arrived {
		s.found = append(s.found, a.finding)
		if a.signed {
			s.signed++
		}
		if _, again := s.first[a.id]; again {
			continue
		}
		s.first[a.id] = a.at
		if a.at.After(s.last) {
			s.last = a.at
		}
	}
	return s
}

// extraWait is how long the sink goes on looking for second copies after the last letter.
const extraWait = 300 * time.Millisecond

// atSink waits until so many different letters of a series have come, at most as long as letters may take.
func (r *runner) atSink(ctx context.Context, series string, want int) ([]arrival, error) {
	deadline := time.Now().Add(r.plan.drain)
	for {
		different := map[string]bool{}
		for _, a := range r.sink.of(series) {
			different[a.id] = true
		}
		if len(different) >= want || time.Now().After(deadline) {
			break
		}
		if !pause(ctx, pollPause) {
			return nil, ctx.Err()
		}
	}
	if !pause(ctx, extraWait) {
		return nil, ctx.Err()
	}
	return r.sink.of(series), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ingest delivers the everyday mix from outside to twenty accounts and waits until IMAP shows all of it.
func (r *runner) ingest(b *bout, l load) error {
	w, err := watch(b.ctx, b.server)
	if err != nil {
		return err
	}
	defer w.close()
	letters := newSeries(r.paper, everyday)
	work := senders{
		connections: l.connections, letters: l.letters, most: r.plan.most, per: perConnection,
		open: func(ctx context.Context, _ int) (*smtpClient, error) {
			return openSMTP(ctx, b.server.dialer, b.server.smtp, nil)
		},
		letter: func(_, n int) letter { return letters.letter(n, outsider, account(n)) },
	}
	s, err := b.begin(fmt.Sprintf("ingest-c%d", l.connections))
	if err != nil {
		return err
	}
	broken := work.run(b.ctx, b.ledger) // what was accepted is verified all the same
	sent := time.Since(s.before.at)
	n := len(b.ledger.taken())
	if err := w.await(b.ctx, n, r.plan.drain); err != nil {
		return errors.Join(broken, err)
	}
	cost, err := s.finish()
	if err != nil {
		return errors.Join(broken, err)
	}
	b.each(n)
	key := fmt.Sprintf("ingest.c%d.", l.connections)
	b.values[key+"visible_per_s"] = rate(n, cost.at.Sub(s.before.at))
	b.values[key+"accepted_per_s"] = rate(n, sent)
	b.values.spread(key+"dot", b.ledger.dots())
	b.values[key+"cpu_ms"] = share(millis(cost.cpu), n)
	b.values[key+"others_cores"] = cost.others
	found, err := w.found(b.ctx)
	if err != nil {
		return errors.Join(broken, fmt.Errorf("read what arrived: %w", err))
	}
	b.judge(found)
	return broken
}

// judge holds what was found against the ledger.
func (b *bout) judge(found []finding) {
	v := b.ledger.verify(found)
	b.judged = &v
}

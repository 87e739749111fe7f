package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// pushWithin is when a push counts as lost.
	pushWithin = 10 * time.Second
	// probePause is between two letters.
	probePause = 20 * time.Millisecond
)

// openIdle opens idle connections, the accounts in turn, each with INBOX selected and IDLE begun.
func openIdle(ctx context.Context, s *server, n int) ([]*imapClient, error) {
	clients := make([]*imapClient, n)
	first := min(n, users)
	open := func(i int) error {
		c, err := s.imap(ctx, account(i))
		if err != nil {
			return err
		}
		clients[i] = c
		if _, err := c.selectBox(inbox); err != nil {
			return err
		}
		return c.idle()
	}
	err := parallel(ctx, first, firstLoginsAtOnce, open)
	if err == nil {
		err = parallel(ctx, n-first, loginsAtOnce, func(i int) error { return open(first + i) })
	}
	if err != nil {
		closeAll(clients)
		return nil, fmt.Errorf("open %d idle connections: %w", n, err)
	}
	return clients, nil
}

func closeAll(clients []*imapClient) {
	for _, c := range clients {
		if c != nil {
			c.conn.Close()
		}
	}
}

// told is what an idle connection was told, and when.
type told struct {
	client int
	at     time.Time
}

// ear collects what the connections of one account are told.
type ear struct {
	clients int
	told    chan told
}

// listen starts a reader for each connection. They end when the connections are closed.
func listen(clients []*imapClient, wait *sync.WaitGroup) []*ear {
	ears := make([]*ear, users)
	for i := range ears {
		// Two announcements of every connection fit in: more than one letter at a time is not under way.
		ears[i] = &ear{told: make(chan told, 2*(len(clients)/users+1))}
	}
	for i, c := range clients {
		e := ears[i%users]
		e.clients++
		c.conn.SetDeadline(time.Time{})
		wait.Go(func() {
			for {
				answer, err := c.read()
				if err != nil {
					return
				}
				if _, ok := exists(answer.text); ok {
					select {
					case e.told <- told{i, time.Now()}:
					default: // nobody listens any more
					}
				}
			}
		})
	}
	return ears
}

// await collects the first announcement of each connection after a letter.
func (e *ear) await(ctx context.Context) ([]time.Time, error) {
	timeout := time.NewTimer(pushWithin)
	defer timeout.Stop()
	seen := map[int]bool{}
	var list []time.Time
	for len(list) < e.clients {
		select {
		case t := <-e.told:
			if !seen[t.client] {
				seen[t.client] = true
				list = append(list, t.at)
			}
		case <-timeout.C:
			return list, nil
		case <-ctx.Done():
			return list, ctx.Err()
		}
	}
	return list, nil
}

// drain forgets what came late.
func (e *ear) drain() {
	for {
		select {
		case <-e.told:
		default:
			return
		}
	}
}

// push holds idle connections and delivers one small letter after the other; every connection of its account must be told.
func (r *runner) push(b *bout) error {
	w, err := watch(b.ctx, b.server)
	if err != nil {
		return err
	}
	defer w.close()
	clients, err := openIdle(b.ctx, b.server, r.plan.idle)
	if err != nil {
		return err
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	defer closeAll(clients)
	p := &prober{ears: listen(clients, &readers), letters: newSeries(r.paper, onlySmall)}
	s, err := b.begin("push")
	if err != nil {
		return err
	}
	for n := range r.plan.probes {
		if err := p.probe(b, n); err != nil {
			return err
		}
	}
	cost, err := s.finish()
	if err != nil {
		return err
	}
	b.each(len(p.fromDot))
	b.values.spread("push.dot", p.fromDot)
	b.values.spread("push.mail", p.fromMail)
	b.values["push.lost"] = float64(p.lost)
	b.values["push.cpu_ms"] = share(millis(cost.cpu), len(p.fromDot))
	b.values["push.others_cores"] = cost.others
	if err := w.await(b.ctx, len(b.ledger.taken()), r.plan.drain); err != nil {
		return err
	}
	found, err := w.found(b.ctx)
	if err != nil {
		return err
	}
	b.judge(found)
	if p.lost > 0 {
		return fmt.Errorf("%d of %d idle connections were not told within %s", p.lost, p.lost+len(p.fromDot), pushWithin)
	}
	return nil
}

// prober sends one letter at a time and notes when the connections of its account were told.
type prober struct {
	ears    []*ear
	letters series
	// fromDot are the times from sending the final dot, fromMail those from MAIL, to the announcements.
	fromDot, fromMail []time.Duration
	lost              int
}

func (p *prober) probe(b *bout, n int) error {
	e := p.ears[n%users]
	e.drain()
	c, err := openSMTP(b.ctx, b.server.dialer, b.server.smtp, nil)
	if err != nil {
		return err
	}
	defer c.close()
	sent, err := c.send(p.letters.letter(n, outsider, account(n)))
	b.ledger.add(sent)
	if err != nil {
		return err
	}
	if sent.fate != accepted {
		return fmt.Errorf("a letter was refused: %s", sent.reply)
	}
	times, err := e.await(b.ctx)
	if err != nil {
		return err
	}
	for _, at := range times {
		p.fromDot = append(p.fromDot, at.Sub(sent.dot))
		p.fromMail = append(p.fromMail, at.Sub(sent.begun))
	}
	p.lost += e.clients - len(times)
	if err := b.server.alive(); err != nil {
		return err
	}
	if !pause(b.ctx, probePause) {
		return errors.New("the time is over")
	}
	return nil
}

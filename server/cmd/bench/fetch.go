package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	bigBox      = "Bench"
	fillers     = 4 // connections that fill the mailbox
	listItems   = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
	shortItems  = "(FLAGS ENVELOPE)"
	fewestBytes = 1 << 20 // of bodies, for a rate that means something
)

// fill appends messages to the large mailbox, reads it for the first time, and verifies every message.
func (r *runner) fill(b *bout) error {
	c, err := b.server.imap(b.ctx, bigUser)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.do("CREATE "+quote(bigBox), nil); err != nil {
		return err
	}
	begin := time.Now()
	s, err := b.begin("append")
	if err != nil {
		return err
	}
	if err := r.append(b); err != nil {
		return err
	}
	if _, err := s.finish(); err != nil {
		return err
	}
	b.each(r.plan.box)
	b.values["fetch.append_per_s"] = rate(r.plan.box, time.Since(begin))
	times := &stopwatch{client: c, values: b.values}
	times.selectBox("fetch.select_first_ms", r.plan.box)
	times.list("fetch.envelope_first_ms", shortItems, r.plan.box)
	if times.err != nil {
		return times.err
	}
	found, err := c.letters(bigBox, bigUser, 0)
	if err != nil {
		return err
	}
	b.judge(found)
	return nil
}

// append fills the mailbox over a few connections.
func (r *runner) append(b *bout) error {
	letters := newSeries(r.paper, mostlySmall)
	return parallel(b.ctx, fillers, fillers, func(worker int) error {
		c, err := b.server.imap(b.ctx, bigUser)
		if err != nil {
			return err
		}
		defer c.close()
		for n := worker; n < r.plan.box; n += fillers {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			s := sending{letter: letters.letter(n, outsider, bigUser), fate: accepted}
			if err := c.appendLetter(bigBox, s.letter); err != nil {
				s.fate, s.reply = unknown, err.Error()
				b.ledger.add(s)
				return fmt.Errorf("APPEND: %w", err)
			}
			b.ledger.add(s)
		}
		return nil
	})
}

// fetch reads the large mailbox as clients do.
func (r *runner) fetch(b *bout) error {
	c, err := b.server.imap(b.ctx, bigUser)
	if err != nil {
		return err
	}
	defer c.close()
	c.keep = false
	s, err := b.begin("fetch")
	if err != nil {
		return err
	}
	times := &stopwatch{client: c, values: b.values}
	times.selectBox("fetch.select_ms", r.plan.box)
	times.list("fetch.flags_ms", "(UID FLAGS)", r.plan.box)
	times.list("fetch.envelope_ms", shortItems, r.plan.box)
	times.list("fetch.list_ms", listItems, r.plan.box)
	times.bodies("fetch.bodies_mib_per_s", min(r.plan.bodies, r.plan.box))
	times.points("fetch.one", r.plan.points, r.plan.box)
	cost, err := s.finish()
	b.values["fetch.cpu_s"] = cost.cpu.Seconds()
	b.values["fetch.others_cores"] = cost.others
	if err != nil {
		return err
	}
	b.each(r.plan.box)
	return times.err
}

// stopwatch times commands on one connection and checks that they give what they should. After an error it does nothing more.
type stopwatch struct {
	client *imapClient
	values values
	err    error
}

func (s *stopwatch) selectBox(key string, want int) {
	if s.err != nil {
		return
	}
	begin := time.Now()
	state, err := s.client.selectBox(bigBox)
	s.values[key] = millis(time.Since(begin))
	if s.err = err; err == nil && state.messages != int64(want) {
		s.err = fmt.Errorf("SELECT shows %d messages of %d", state.messages, want)
	}
}

// fetch counts the answers to a FETCH.
func (s *stopwatch) fetch(line string, want int) time.Duration {
	if s.err != nil {
		return 0
	}
	got := 0
	begin := time.Now()
	s.err = s.client.do(line, func(r response) {
		if strings.Contains(r.text, " FETCH (") {
			got++
		}
	})
	took := time.Since(begin)
	if s.err == nil && got != want {
		s.err = fmt.Errorf("%s gave %d answers, want %d", line, got, want)
	}
	return took
}

func (s *stopwatch) list(key, items string, want int) {
	s.values[key] = millis(s.fetch("FETCH 1:* "+items, want))
}

func (s *stopwatch) bodies(key string, n int) {
	before := s.client.bytes
	took := s.fetch(fmt.Sprintf("FETCH 1:%d (BODY.PEEK[])", n), n)
	if got := s.client.bytes - before; s.err == nil && got < min(fewestBytes, int64(n)*small/2) {
		s.err = fmt.Errorf("%d bodies had %d bytes", n, got)
	} else {
		s.values[key] = float64(got) / (1 << 20) / max(took.Seconds(), 1e-9)
	}
}

func (s *stopwatch) points(key string, n, box int) {
	var times []time.Duration
	for range n {
		at := 1 + rand.IntN(box) //nolint:gosec // which message is read is no secret
		times = append(times, s.fetch(fmt.Sprintf("UID FETCH %d (FLAGS BODY.PEEK[])", at), 1))
	}
	s.values.spread(key, times)
}

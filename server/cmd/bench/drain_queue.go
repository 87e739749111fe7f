package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	mailserver "github.com/mailserver-dev/mailserver/sdk/go"
)

// How often the queue is asked: while everything waits, and while it drains.
const (
	apiTries = 10
	apiEvery = 5 * time.Second
)

// apiTimes are the longest and the median answers to questions about the queue, in milliseconds.
type apiTimes struct {
	Asked           int     `json:"asked"`
	EntriesMs       float64 `json:"entries_ms"`
	EntriesMost     float64 `json:"entries_most_ms"`
	DestinationsMs  float64 `json:"destinations_ms"`
	DestinationsMax float64 `json:"destinations_most_ms"`
}

func (t apiTimes) String() string {
	return fmt.Sprintf("entries %s ms, at most %s; destinations %s ms, at most %s",
		number4(t.EntriesMs), number4(t.EntriesMost), number4(t.DestinationsMs), number4(t.DestinationsMax))
}

// questions collects answer times.
type questions struct{ entries, destinations []time.Duration }

// ask asks for the first page of both lists.
func (q *questions) ask(ctx context.Context, client *mailserver.Client) error {
	begin := time.Now()
	if _, err := client.Queue.List(ctx, mailserver.ListQueue{}); err != nil {
		return fmt.Errorf("list the queue: %w", err)
	}
	middle := time.Now()
	if _, err := client.Queue.Destinations(ctx, mailserver.ListDestinations{}); err != nil {
		return fmt.Errorf("list the destinations: %w", err)
	}
	q.entries, q.destinations = append(q.entries, middle.Sub(begin)), append(q.destinations, time.Since(middle))
	return nil
}

func (q *questions) times() apiTimes {
	return apiTimes{
		len(q.entries), round(percentile(q.entries, 50)), round(percentile(q.entries, 100)), round(percentile(q.destinations, 50)),
		round(percentile(q.destinations, 100)),
	}
}

func askQueue(ctx context.Context, client *mailserver.Client, tries int) (apiTimes, error) {
	var q questions
	for range tries {
		if err := q.ask(ctx, client); err != nil {
			return apiTimes{}, err
		}
	}
	return q.times(), nil
}

// watch asks now and then until the function that it returns is called, which gives what was seen.
func (d *drainer) watch(ctx context.Context, client *mailserver.Client) func() (apiTimes, error) {
	asking, stop := context.WithCancel(ctx)
	var q questions
	ended := make(chan error, 1)
	go func() {
		for {
			if err := q.ask(asking, client); err != nil || !pause(asking, apiEvery) {
				ended <- err
				return
			}
		}
	}()
	return func() (apiTimes, error) {
		stop()
		err := <-ended
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			err = nil
		}
		return q.times(), err
	}
}

// freshDomain is a destination that nothing in the queue is for.
const freshDomain = "fresh.test"

// freshWithin is how long a fresh letter may take behind a full queue.
const freshWithin = 5 * time.Minute

// fresh sends a letter to a destination of its own and gives how long it took from the answer of the API to the sink.
func (d *drainer) fresh(ctx context.Context, client *mailserver.Client, name string) (time.Duration, error) {
	t, l := d.tally.Load(), letter{id: d.letters.name + "-" + name, from: account(0), to: "r@" + freshDomain}
	t.expect(l.id)
	if _, err := client.Emails.Send(ctx, mailserver.EmailSend{From: l.from, To: []string{l.to}, Subject: subject + l.id, Text: l.firstLine()}); err != nil {
		return 0, fmt.Errorf("a fresh letter: %w", err)
	}
	begin := time.Now()
	for t.came(l.id).IsZero() {
		if time.Since(begin) > freshWithin {
			return 0, fmt.Errorf("a fresh letter did not come within %s", freshWithin)
		}
		if !pause(ctx, pollPause) {
			return 0, ctx.Err()
		}
	}
	return max(0, t.came(l.id).Sub(begin)), nil
}

// freshLater sends a fresh letter when half of the others have come, and gives its time when it is asked.
func (d *drainer) freshLater(ctx context.Context, client *mailserver.Client) func() (time.Duration, error) {
	type answer struct {
		took time.Duration
		err  error
	}
	ended := make(chan answer, 1)
	go func() {
		for d.tally.Load().there() < d.work.messages/2 {
			if !pause(ctx, pollPause) {
				ended <- answer{err: ctx.Err()}
				return
			}
		}
		took, err := d.fresh(ctx, client, "meanwhile")
		ended <- answer{took, err}
	}()
	return func() (time.Duration, error) {
		a := <-ended
		return a.took, a.err
	}
}

// deadState is what the API says of the dead destination.
type deadState struct {
	When        string     `json:"when"`
	State       string     `json:"state"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
	Queued      int64      `json:"queued"`
	Deferred    int64      `json:"deferred"`
	Sending     int64      `json:"sending"`
	Failures    int64      `json:"failures"`
	LastReply   string     `json:"last_reply,omitempty"`
}

func (s deadState) String() string {
	text := fmt.Sprintf("%s, %d queued, %d deferred, %d sending, %d failures", s.State, s.Queued, s.Deferred, s.Sending, s.Failures)
	if s.PausedUntil != nil {
		text += ", paused until " + s.PausedUntil.UTC().Format(time.TimeOnly)
	}
	if s.LastReply != "" {
		text += fmt.Sprintf(", %.80q", s.LastReply)
	}
	return text
}

// deadNow reads what the list of destinations says of the dead one.
func (d *drainer) deadNow(ctx context.Context, client *mailserver.Client, when string) (deadState, error) {
	for item, err := range client.Queue.AllDestinations(ctx, mailserver.ListDestinations{}) {
		if err != nil {
			return deadState{}, err
		}
		if item.Name != d.report.Dead {
			continue
		}
		s := deadState{
			When: when, State: string(item.State), Queued: item.Queued, Deferred: item.Deferred, Sending: item.Sending, Failures: item.Failures,
			LastReply: strings.TrimSpace(item.LastReply),
		}
		if until, err := item.PausedUntil.Get(); err == nil {
			s.PausedUntil = &until
		}
		return s, nil
	}
	return deadState{}, fmt.Errorf("the queue does not list %s", d.report.Dead)
}

// stateWithin is how long the breaker of a destination that hung up may take to open, and a queue that is drained to be empty.
const stateWithin = 30 * time.Second

// askPause is between two looks at the queue: a key has so many requests a minute.
const askPause = 250 * time.Millisecond

// revival looks at the dead destination after the others are done. All its letters must be in the queue, and the list must say so;
// when it hangs up on everybody, it must be paused; and when it lives again and is retried, it must get them all.
func (d *drainer) revival(ctx context.Context, client *mailserver.Client) error {
	state, err := d.deadNow(ctx, client, "the others are done")
	if err != nil {
		return err
	}
	d.saw(state)
	if want := int64(d.letters.of(deadOne)); state.Queued+state.Deferred+state.Sending != want {
		d.r.res.problem("drain: %s has %s, not %d letters", d.report.Dead, state, want)
	}
	if state.State != "sending" && state.State != "paused" && state.State != "waiting" {
		d.r.res.problem("drain: %s is said to be %s", d.report.Dead, state.State)
	}
	d.end.hangUp()
	if err := d.awaitPause(ctx, client); err != nil {
		return err
	}
	d.report.DeadEnd = d.end.String()
	if err := d.end.revive(ctx); err != nil {
		return err
	}
	if _, err := client.Queue.RetryDestination(ctx, d.report.Dead); err != nil {
		return fmt.Errorf("retry %s: %w", d.report.Dead, err)
	}
	return nil
}

func (d *drainer) saw(s deadState) {
	d.report.DeadStates = append(d.report.DeadStates, s)
	d.r.progress("drain: "+d.report.Dead+", "+s.When, 0, s.String())
}

// awaitPause waits until the dead destination is shown as paused, with a time and all its letters.
func (d *drainer) awaitPause(ctx context.Context, client *mailserver.Client) error {
	deadline := time.Now().Add(stateWithin)
	for {
		state, err := d.deadNow(ctx, client, "it hung up")
		if err != nil {
			return err
		}
		good := state.State == "paused" && state.PausedUntil != nil && state.Queued+state.Deferred == int64(d.letters.of(deadOne))
		if good || time.Now().After(deadline) {
			d.saw(state)
			if !good {
				d.r.res.problem("drain: %s hung up and is not paused with all its letters: %s", d.report.Dead, state)
			}
			return nil
		}
		if !pause(ctx, askPause) {
			return ctx.Err()
		}
	}
}

// settle waits for what is left, and verifies that every letter came once and that nothing stays in the queue.
func (d *drainer) settle(ctx context.Context, client *mailserver.Client) error {
	t := d.tally.Load()
	broken := d.await(ctx, t.all, d.host.running)
	if !pause(ctx, extraWait) {
		return ctx.Err()
	}
	v := t.judge(d.taken)
	n := len(d.report.Rounds)
	d.r.res.Verdicts = append(d.r.res.Verdicts, judgement{"drain", "mailserver", n, v})
	if !v.clean() {
		d.r.res.problem("drain, round %d: %s: %s", n, v, strings.Join(v.Samples, "; "))
	}
	return errors.Join(broken, d.awaitEmpty(ctx, client))
}

// awaitEmpty waits until nothing is left in the queue that could be sent again.
func (d *drainer) awaitEmpty(ctx context.Context, client *mailserver.Client) error {
	deadline := time.Now().Add(stateWithin)
	for {
		page, err := client.Queue.List(ctx, mailserver.ListQueue{})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			d.r.res.problem("drain: letters that arrived stay in the queue, one for %s", page.Items[0].Destination)
			return nil
		}
		if !pause(ctx, askPause) {
			return ctx.Err()
		}
	}
}

package smtpout

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// maxSessions is how many greeted hosts one attempt speaks with (O-4).
const maxSessions = 2

// errAttempt says that an attempt took longer than Timeouts.Attempt.
var errAttempt = errors.New("the attempt takes too long")

// Courier is the way to one destination. It carries one letter at a time and keeps its connection for the next one, until
// Close; somebody must call it, 5 s after the last letter (O-42). Its methods may be called from many goroutines; each waits
// for the others.
type Courier struct {
	client *Client
	domain string
	relay  *Relay

	mu      sync.Mutex
	session *session // nil without a connection
}

// Close says goodbye, which takes at most Timeouts.Quit. It waits for a Carry that is running; end that one's context first.
// A closed courier may be used again.
func (c *Courier) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

func (c *Courier) drop() {
	if c.session != nil {
		c.session.bye()
		c.session = nil
	}
}

// Carry brings the letter to the destination and returns one result for each recipient, in the order of l.To. When ctx ends,
// the connection is cut and what is not decided is Aborted; only after the final dot the reply is still awaited, for
// Timeouts.Grace.
func (c *Courier) Carry(ctx context.Context, l Letter) []Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	start := c.client.clk.Now()
	inner, cancel := context.WithTimeoutCause(ctx, c.client.cfg.Timeouts.Attempt, errAttempt)
	defer cancel()
	d := newDelivery(l)
	d.refuseUnsayable()
	if len(d.open) > 0 {
		if f := c.deliver(ctx, inner, d); f != nil {
			d.settle(f.outcome(ctx, inner), d.open...)
		}
	}
	if c.session != nil && c.session.broken {
		c.drop()
	}
	took := c.client.clk.Now().Sub(start)
	for i := range d.results {
		d.results[i].Took = took
	}
	return d.results
}

// outcome is the result of a failure. What was not decided when a context ended is aborted when it was the caller's, and
// deferred when the remote was too slow for the whole attempt.
func (f *failure) outcome(outer, inner context.Context) Result {
	r := f.Result
	if f.spoke || r.MaybeDelivered || r.Outcome == Refused {
		return r
	}
	switch {
	case outer.Err() != nil:
		r = aborted(context.Cause(outer)).Result
	case inner.Err() != nil:
		r = own(Deferred, 451, "4.4.2", ClassNetwork, context.Cause(inner), "the attempt took too long")
		r.HostTrouble = true
	}
	r.Host, r.Addr, r.TLS = f.Host, f.Addr, f.TLS
	return r
}

// deliver uses the connection at hand, or makes new ones until the letter is decided. Nil means that every recipient has a
// result.
func (c *Courier) deliver(outer, ctx context.Context, d *delivery) *failure {
	tried := &tried{}
	if c.reusable() {
		kept := c.session
		f := c.speak(outer, ctx, d)
		switch {
		case f == nil:
			return nil
		case f.stale && ctx.Err() == nil:
			// The connection had died while nobody used it. That is no attempt: go on as if there had been none.
		case !f.next || ctx.Err() != nil:
			return f
		default:
			tried.sessions++
			tried.note(kept.target, f)
		}
	}
	targets, f := c.route(ctx)
	if f != nil {
		return tried.worst(f)
	}
	for _, to := range targets {
		if tried.has(to) {
			continue
		}
		if f := c.visit(outer, ctx, to, d, tried); f == nil || !f.next {
			return f
		}
		if tried.sessions >= maxSessions || ctx.Err() != nil {
			break
		}
	}
	return tried.last
}

// tried is what has been tried in one attempt.
type tried struct {
	targets  []target
	sessions int
	last     *failure
}

func (t *tried) has(to target) bool {
	return slices.ContainsFunc(t.targets, func(done target) bool { return done.addr == to.addr })
}

func (t *tried) note(to target, f *failure) {
	t.targets = append(t.targets, to)
	t.last = t.worst(f)
}

// worst keeps what a remote has said above what we say ourselves: it tells the sender more than a closed port does.
func (t *tried) worst(f *failure) *failure {
	if t.last != nil && t.last.spoke && !f.spoke {
		return t.last
	}
	return f
}

// visit makes a connection to one target and carries the letter over it.
func (c *Courier) visit(outer, ctx context.Context, to target, d *delivery, t *tried) *failure {
	c.drop()
	s, f := c.open(outer, ctx, to)
	if f == nil {
		c.session = s
		t.sessions++
		f = c.speak(outer, ctx, d)
	}
	if f != nil {
		t.note(to, f)
	}
	return f
}

// speak carries the letter over the present connection, and once more over the other family of addresses when a first attempt
// is refused by a policy about us.
func (c *Courier) speak(outer, ctx context.Context, d *delivery) *failure {
	asked := slices.Clone(d.open)
	f := c.session.transact(outer, ctx, d)
	if f != nil || c.relay != nil || d.letter.Attempt > 1 || ctx.Err() != nil || !d.policy(asked) {
		return f
	}
	to, ok := c.session.target.sibling()
	if !ok {
		return nil
	}
	before := slices.Clone(d.results)
	d.reopen(asked)
	c.drop()
	s, f := c.open(outer, ctx, to)
	if f == nil {
		c.session = s
		f = s.transact(outer, ctx, d)
	}
	if f != nil && !f.MaybeDelivered {
		// The other way is no way: what the first one said stands for whom the second one did not decide about.
		for _, i := range d.open {
			d.results[i] = before[i]
		}
		d.refresh()
		return nil
	}
	return f
}

// policy reports whether all of some recipients were turned away with x.7.z.
func (d *delivery) policy(asked []int) bool {
	for _, i := range asked {
		r := d.results[i]
		if r.Code < 500 || !strings.HasPrefix(r.Enhanced, "5.7.") {
			return false
		}
	}
	return len(asked) > 0
}

func (d *delivery) reopen(recipients []int) {
	for _, i := range recipients {
		d.results[i] = Result{}
	}
	d.open = recipients
}

// reusable reports whether there is a connection for one more letter; one that has had its share is closed.
func (c *Courier) reusable() bool {
	s := c.session
	if s == nil {
		return false
	}
	if s.broken || s.served >= c.client.cfg.PerConnection || c.client.clk.Now().Sub(s.opened) >= maxAge {
		c.drop()
		return false
	}
	return true
}

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a client waits for a reply before it gives the connection up.
const patience = 30 * time.Second

// load is all clients together.
type load struct {
	ledger *ledger
	gate   *gate
	seed   uint64
	claims claims
	wait   sync.WaitGroup
	acked  atomic.Int64
}

// client is one of them. It works on one thing at a time.
type client struct {
	*load
	dice

	name string
	made int // letters so far
}

// start runs n clients until ctx ends. Each kind has its share.
func (l *load) start(ctx context.Context, n int) {
	type work struct {
		prefix string
		run    func(*client, context.Context, int)
	}
	arrive, file, post, submit := work{"a", (*client).arrivals}, work{"i", (*client).mailboxes}, work{"p", (*client).emails}, work{"s", (*client).submissions}
	shares := []work{arrive, file, post, submit, file, arrive, post, file}
	seen := map[string]int{} // of each kind so far
	for i := range n {
		w := shares[i%len(shares)]
		nth := seen[w.prefix]
		seen[w.prefix]++
		c := &client{load: l, dice: newDice(l.seed, uint64(i)+1), name: fmt.Sprintf("%s%d", w.prefix, nth)}
		l.wait.Go(func() { w.run(c, ctx, nth) })
	}
}

// nextID names the next letter of this client.
func (c *client) nextID() string {
	c.made++
	return fmt.Sprintf("k%d-%s-%06d", c.seed, c.name, c.made)
}

// begun is an operation whose intent is in the ledger.
type begun struct {
	c     *client
	entry entry
}

// begin writes the intent.
func (c *client) begin(t *target, e entry) *begun {
	e.Event, e.Who, e.Life = evIntent, c.name, t.life
	e.Op = 0
	n := c.ledger.add(e)
	e.Op = n
	return &begun{c: c, entry: e}
}

// end writes the outcome, with what the reply told.
func (b *begun) end(event string, reply string, told entry) {
	if b.entry.Op == 0 {
		return // the ledger is broken, and the run ends
	}
	if event == evAck && b.entry.Kind != kindSelect {
		b.c.acked.Add(1)
	}
	told.Event, told.Op, told.Kind, told.Who, told.Life = event, b.entry.Op, b.entry.Kind, b.c.name, b.entry.Life
	told.Reply = reply
	b.c.ledger.add(told)
}

// serve calls session again and again, each time with a running server, until ctx ends. A session that ended with an error
// waits a moment, in which the runner notices that the server is gone.
func (c *client) serve(ctx context.Context, session func(context.Context, *target) error) {
	for {
		t := c.gate.pass(ctx)
		if t == nil {
			return
		}
		if err := session(ctx, t); err != nil && !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// strangers picks n addresses of other servers for a letter; some of several share a domain.
func (c *client) strangers(id string, n int) []string {
	list := make([]string, n)
	domain := c.IntN(farDomains)
	for i := range list {
		list[i] = fmt.Sprintf("%s.%d@%s", id, i, farDomain(domain))
		if c.chance(60) {
			domain = c.IntN(farDomains)
		}
	}
	return list
}

// users picks who gets a letter: mostly one of the two, often both.
func (c *client) users(t *target) []string {
	alice, bob := t.Users[0].Email, t.Users[1].Email
	switch c.IntN(10) {
	case 0, 1, 2:
		return []string{alice, bob}
	case 3, 4, 5, 6:
		return []string{alice}
	}
	return []string{bob}
}

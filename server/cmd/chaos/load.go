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

// load is all clients of one server together.
type load struct {
	ledger *ledger
	gate   *gate
	seed   uint64
	site   string
	tag    string // begins the names of its clients, and so of its letters
	claims claims
	wait   sync.WaitGroup
	acked  atomic.Int64
	marks  marks
	// mild keeps clients from addresses that refuse mail: their senders are told a minute later, and somebody has to wait for it.
	mild atomic.Bool
}

// marks counts the acknowledged operations by the way they came.
type marks [ways]atomic.Int64

const (
	waySMTP = iota
	waySubmission
	wayAPI
	wayIMAP
	ways
)

func wayName(way int) string { return [ways]string{"smtp", "submission", "api", "imap"}[way] }

// wayOf sorts a kind of operation.
func wayOf(kind string) int {
	switch kind {
	case kindSMTP:
		return waySMTP
	case kindSubmission:
		return waySubmission
	case kindAPI:
		return wayAPI
	}
	return wayIMAP
}

func (m *marks) read() (now [ways]int64) {
	for i := range m {
		now[i] = m[i].Load()
	}
	return now
}

// client is one of them. It works on one thing at a time.
type client struct {
	*load
	dice

	name string
	// made counts its letters so far, taken the operations that were acknowledged, refused those that were not.
	made, taken, refused int
}

// breath is how long a client waits after a no or a broken connection.
const breath = 100 * time.Millisecond

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
		c := l.client(fmt.Sprintf("%s%d", w.prefix, nth), uint64(i)+1)
		l.wait.Go(func() { w.run(c, ctx, nth) })
	}
}

// client makes one with chances of its own.
func (l *load) client(name string, stream uint64) *client {
	if l.tag != "" {
		stream += 1 << 40
	}
	return &client{load: l, dice: newDice(l.seed, stream), name: l.tag + name}
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
	e.Event, e.Site, e.Who, e.Life = evIntent, c.site, c.name, t.life
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
		b.c.marks[wayOf(b.entry.Kind)].Add(1)
	}
	switch event {
	case evAck:
		b.c.taken++
	case evRefused:
		b.c.refused++
	}
	told.Event, told.Op, told.Kind, told.Site, told.Who, told.Life = event, b.entry.Op, b.entry.Kind, b.c.site, b.c.name, b.entry.Life
	told.Reply = reply
	b.c.ledger.add(told)
}

// told notes a no that was the answer to no operation. A broken connection tells nothing.
func (c *client) told(t *target, kind, reply string) {
	c.ledger.add(entry{Event: evTold, Kind: kind, Site: c.site, Who: c.name, Life: t.life, Reply: reply})
}

// serve calls session again and again, each time with a running server, until ctx ends. A session that ended with an error
// waits a moment, in which the runner notices that the server is gone.
func (c *client) serve(ctx context.Context, session func(context.Context, *target) error) {
	for {
		t := c.gate.pass(ctx)
		if t == nil {
			return
		}
		if err := session(ctx, t); err != nil && !pause(ctx, breath) {
			return
		}
	}
}

// strangers picks n addresses of other servers for a letter; some of several share a domain.
func (c *client) strangers(id string, n int) []string {
	list := make([]string, n)
	domain := c.IntN(farDomains)
	for i := range list {
		list[i] = c.stranger(id, i, farDomain(domain))
		if c.chance(60) {
			domain = c.IntN(farDomains)
		}
	}
	return list
}

// stranger is the nth address of a letter.
func (c *client) stranger(id string, n int, domain string) string {
	for ; ; n += 10 {
		address := fmt.Sprintf("%s.%d@%s", id, n, domain)
		if !c.mild.Load() || !newHabit(c.seed, address).refuse {
			return address
		}
	}
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

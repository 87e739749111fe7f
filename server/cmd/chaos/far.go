package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/testenv/remote"
)

// farDomains is how many domains of others there are. Each has a mail server of its own, which lives in this program and so
// outlives every kill. A kill leaves the lease of every domain that is being sent to, for up to 30 s; with so many, and so few
// that answer slowly, the next kill meets others at work.
const farDomains = 48

func farDomain(n int) string { return "far" + strconv.Itoa(n) + ".test" }

// isFar tells addresses of others from those of the server under test.
func isFar(address string) bool {
	_, domain, _ := strings.Cut(address, "@")
	return strings.HasPrefix(domain, "far")
}

// retryDelays is the ladder that the server is given, so that a deferred letter comes back within the run.
const retryDelays = "1s,2s,5s"

// What the other servers say.
const (
	textRefused = "5.1.1 nobody here by that name"
	textBusy    = "4.2.1 mailbox busy"
	textLater   = "4.3.0 not now"
)

// habit is what another server does to one address. It follows from the seed and the address alone, so that it does not
// depend on the order in which mail comes.
type habit struct {
	refuse bool          // every RCPT gets 550
	busy   int           // so many first RCPT get 450
	later  bool          // the first message after that gets 451 at its dot
	drop   bool          // the first message after that is taken, and the connection closed without the reply
	delay  time.Duration // before the reply to the dot: the message is in the ledger already
}

func newHabit(seed uint64, address string) habit {
	sum := fnv.New64a()
	sum.Write([]byte(strings.ToLower(address)))
	d := newDice(seed, sum.Sum64())
	h := habit{refuse: d.chance(6)}
	if d.chance(15) {
		h.busy = 1 + d.IntN(2)
	}
	h.later, h.drop = d.chance(4), d.chance(5)
	if d.chance(15) {
		h.delay = time.Duration(200+d.IntN(2300)) * time.Millisecond
	}
	return h
}

// step is what happens to the given RCPT for the address, from 1.
func (h habit) step(attempt int) remote.Step {
	dot := remote.Reply{Delay: h.delay}
	switch first := attempt == h.busy+1; {
	case h.refuse:
		return remote.RefuseRcpt(550, textRefused)
	case attempt <= h.busy:
		return remote.RefuseRcpt(450, textBusy)
	case first && h.drop:
		dot.Form, dot.Then = remote.FormSilent, remote.ThenClose
	case first && h.later:
		dot.Code, dot.Text = 451, textLater
	}
	return remote.Step{Dot: dot}
}

// far is all mail servers of others together.
type far struct{ hosts []*farHost }

// farHost is the mail server of one domain.
type farHost struct {
	domain string
	cfg    remote.Config

	mu   sync.Mutex
	all  []*remote.MX // one after the other on the same port and ledger
	down []span
}

// span is a time; to is zero while it lasts.
type span struct{ from, to time.Time }

// openFar starts one server on each address, with its ledger below dir.
func openFar(seed uint64, dir string, addresses []string) (*far, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	authority, err := remote.NewAuthority()
	if err != nil {
		return nil, err
	}
	f := &far{}
	for i, address := range addresses {
		domain := farDomain(i)
		script := remote.Script{Recipient: func(address string, attempt int) remote.Step { return newHabit(seed, address).step(attempt) }}
		h := &farHost{domain: domain, cfg: remote.Config{
			Addr: address, Hostname: "mx." + domain, Authority: authority, Script: script, IDHeader: idField,
			LedgerFile: filepath.Join(dir, domain+".jsonl"),
		}}
		if err := h.open(); err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.hosts = append(f.hosts, h)
	}
	return f, nil
}

// routes leads the domains to their servers, as outbound.routes.
func (f *far) routes() string {
	list := make([]string, len(f.hosts))
	for i, h := range f.hosts {
		list[i] = h.domain + "=" + h.cfg.Addr
	}
	return strings.Join(list, ",")
}

// addresses are where the servers listen.
func (f *far) addresses() []string {
	list := make([]string, len(f.hosts))
	for i, h := range f.hosts {
		list[i] = h.cfg.Addr
	}
	return list
}

func (f *far) close() error {
	var errs []error
	for _, h := range f.hosts {
		h.mu.Lock()
		errs = append(errs, h.all[len(h.all)-1].Close())
		h.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (h *farHost) open() error {
	mx, err := remote.Listen(h.cfg)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, mx)
	if n := len(h.down); n > 0 {
		h.down[n-1].to = time.Now()
	}
	return nil
}

// shut ends the server: its port refuses connections until open.
func (h *farHost) shut() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = append(h.down, span{from: time.Now()})
	return h.all[len(h.all)-1].Close()
}

// downs gives the times at which a domain refused connections.
func (f *far) downs() map[string][]span {
	all := map[string][]span{}
	for _, h := range f.hosts {
		h.mu.Lock()
		if len(h.down) > 0 {
			all[h.domain] = slices.Clone(h.down)
		}
		h.mu.Unlock()
	}
	return all
}

// halfway says that one of the servers has taken a message and is about to answer, but not yet.
func (f *far) halfway(habits func(string) habit) bool {
	const newest, soon = 10, 50 * time.Millisecond
	for _, h := range f.hosts {
		h.mu.Lock()
		list := h.all[len(h.all)-1].Received()
		h.mu.Unlock()
		for _, d := range list[max(0, len(list)-newest):] {
			if d.At.Add(delayOf(d, habits) - soon).After(time.Now()) {
				return true
			}
		}
	}
	return false
}

// delayOf bounds the time until the reply: the first slow recipient of a transaction decides.
func delayOf(d remote.Delivery, habits func(string) habit) time.Duration {
	var most time.Duration
	for _, to := range d.To {
		most = max(most, habits(to).delay)
	}
	return most
}

// farCopy is a message that another server took.
type farCopy struct {
	content

	domain string
	from   string
	to     []string
	at     time.Time // of the ledger's line
	// replyLost says that the script kept the reply back. Otherwise the reply was due after delay.
	replyLost bool
	delay     time.Duration
	mark      origin
	email     string // by the mark, once the emails are known
}

// read gives everything that was taken: the lines of the ledgers, each with the bytes that belong to it.
func (f *far) read(habits func(string) habit) ([]farCopy, error) {
	var out []farCopy
	for _, h := range f.hosts {
		list, err := h.read(habits)
		if err != nil {
			return nil, fmt.Errorf("ledger of %s: %w", h.domain, err)
		}
		out = append(out, list...)
	}
	return out, nil
}

// lineKey names a message of a server.
type lineKey struct {
	at             int64
	session, index int
	sum            string
}

func (h *farHost) read(habits func(string) habit) ([]farCopy, error) {
	lines, err := remote.ReadLedger(h.cfg.LedgerFile)
	if err != nil {
		return nil, err
	}
	kept := map[lineKey]remote.Delivery{}
	h.mu.Lock()
	for _, mx := range h.all {
		for _, d := range mx.Received() {
			kept[lineKey{d.At.UnixNano(), d.Session, d.Index, d.Sum}] = d
		}
	}
	h.mu.Unlock()
	if len(kept) != len(lines) {
		return nil, fmt.Errorf("%d lines for %d messages", len(lines), len(kept))
	}
	out := make([]farCopy, 0, len(lines))
	for i, l := range lines {
		d, ok := kept[lineKey{l.At.UnixNano(), l.Session, l.Index, l.Sum}]
		if !ok {
			return nil, fmt.Errorf("line %d belongs to no message", i+1)
		}
		c := farCopy{
			content: examine(d.Bytes), domain: h.domain, from: d.From, to: d.To, at: l.At, replyLost: d.ReplyLost, delay: delayOf(d, habits),
			mark: originOf(d.Bytes),
		}
		out = append(out, c)
	}
	return out, nil
}

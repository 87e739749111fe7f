package mailbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Options bound a Service. The zero value is the default of each.
type Options struct {
	// MaxMailboxes is how many mailboxes an account may have (L-11); 0 means 1,000.
	MaxMailboxes int
	// MaxMessages is how many messages a mailbox may hold before copies and appends into it are refused (L-11); deliveries are
	// not. 0 means 1,000,000.
	MaxMessages int
	// ViewEntries is how many messages the cached views hold together, 24 bytes each; 0 means 2,000,000.
	ViewEntries int
	// Queue is how many deliveries may wait for the committer before more are refused; 0 means 1,024.
	Queue int
}

// Service is the way to mailboxes. All methods may be called from many goroutines at once. Start it before Deliver.
type Service struct {
	pool   *pg.Pool
	bodies *body.Store
	bus    *bus.Bus
	clk    clock.Clock
	log    *slog.Logger
	opts   Options

	views     *viewCache
	committer *committer
	inboxes   inboxCache
	looks     sharedRows
	admitted  admissions
}

// New makes a service on a migrated database and an open store.
func New(pool *pg.Pool, bodies *body.Store, b *bus.Bus, clk clock.Clock, log *slog.Logger, opts Options) *Service {
	if opts.MaxMailboxes == 0 {
		opts.MaxMailboxes = 1000
	}
	if opts.MaxMessages == 0 {
		opts.MaxMessages = 1_000_000
	}
	if opts.ViewEntries == 0 {
		opts.ViewEntries = 2_000_000
	}
	if opts.Queue == 0 {
		opts.Queue = 1024
	}
	s := &Service{pool: pool, bodies: bodies, bus: b, clk: clk, log: log, opts: opts, views: newViewCache(opts.ViewEntries)}
	s.committer = newCommitter(s, opts.Queue)
	return s
}

// Start begins to take deliveries. The context's end does not stop it: Stop does, when nothing more can arrive.
func (s *Service) Start(ctx context.Context) { s.committer.start(context.WithoutCancel(ctx)) }

// Stop refuses new deliveries, commits those that wait, and returns when that is done or ctx ends. Stopping twice, or without
// a start, does no harm.
func (s *Service) Stop(ctx context.Context) error { return s.committer.stop(ctx) }

// errNotFound is the answer for mailboxes and messages that are not there, or not for this principal.
func errNotFound(what string) error {
	return fault.New(fault.NotFound, "not-found", "there is no such %s", what)
}

// The scopes that a key needs here.
const (
	readMailboxes  = "mailboxes:read"
	writeMailboxes = "mailboxes:write"
	readMessages   = "messages:read"
	writeMessages  = "messages:write"
	readContent    = "messages:content"
)

// scope refuses keys without the right, and nobody.
func scope(p mail.Principal, name string) error {
	switch {
	case p.HasScope(name):
		return nil
	case p.IsKey():
		return fault.New(fault.Forbidden, "scope-missing", "this key needs the scope %s", name)
	}
	return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
}

// load reads one mailbox and checks that the principal may use it. Foreign mailboxes do not exist (S-43).
func (s *Service) load(ctx context.Context, q pg.Querier, p mail.Principal, sql string, args ...any) (Mailbox, error) {
	m, err := selectMailbox(ctx, q, sql, args...)
	return admit(p, m, err)
}

// admit gives a mailbox that was read to who may use it.
func admit(p mail.Principal, m Mailbox, err error) (Mailbox, error) {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Mailbox{}, errNotFound("mailbox")
	case err != nil:
		return Mailbox{}, pg.Fault(err)
	case !p.MayUser(m.Account, m.Domain):
		return Mailbox{}, errNotFound("mailbox")
	}
	return m, nil
}

// byKey is load for a principal that must also have the scope.
func (s *Service) byKey(ctx context.Context, p mail.Principal, need string, key int64) (Mailbox, error) {
	if err := scope(p, need); err != nil {
		return Mailbox{}, err
	}
	return s.load(ctx, s.pool, p, sqlMailboxByKey, key)
}

// mayUse checks that the principal may use the account's mailboxes at all.
func (s *Service) mayUse(ctx context.Context, p mail.Principal, account mail.UserID) error {
	if p.IsSystem() || !p.IsKey() && !account.IsZero() && p.User == account {
		return nil
	}
	var domain mail.DomainID
	err := s.pool.QueryRow(ctx, sqlAccountDomain, uuid(account)).Scan(&domain)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errNotFound("user")
	case err != nil:
		return pg.Fault(err)
	case !p.MayUser(account, domain):
		return errNotFound("user")
	}
	return nil
}

// hasRoom refuses what a client wants to put into a mailbox that is full (L-11).
func (s *Service) hasRoom(m Mailbox) error {
	if m.Total < s.opts.MaxMessages {
		return nil
	}
	return fault.New(fault.Limited, "message-limit", "this mailbox holds %d messages, which is the limit; use another one", m.Total)
}

// changed wakes those who watch these mailboxes.
func (s *Service) changed(keys ...int64) {
	topics := make([]string, len(keys))
	for i, key := range keys {
		topics[i] = bus.Mailbox(key)
	}
	s.bus.Publish(topics...)
}

// listChanged wakes those who watch the account's list of mailboxes.
func (s *Service) listChanged(account mail.UserID) { s.bus.Publish(bus.Account(account)) }

// inboxCache remembers the inbox of accounts: its key and id never change while the account lives.
type inboxCache struct {
	mu   sync.Mutex
	have map[mail.UserID]place
}

// place names a mailbox by both its names.
type place struct {
	key int64
	id  mail.MailboxID
}

const maxInboxes = 100_000

func (c *inboxCache) get(account mail.UserID) (place, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.have[account]
	return p, ok
}

func (c *inboxCache) put(account mail.UserID, p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.have == nil || len(c.have) >= maxInboxes {
		c.have = make(map[mail.UserID]place)
	}
	c.have[account] = p
}

func (c *inboxCache) drop(account mail.UserID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.have, account)
}

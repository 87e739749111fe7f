package mailbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Spool holds a message that is arriving; see body.Spool.
type Spool = body.Spool

// NewSpool begins an empty spool. Close it.
func (s *Service) NewSpool() *Spool { return s.bodies.NewSpool() }

// Item is one message of an append.
type Item struct {
	// Body holds the bytes, which are stored as they are.
	Body  *Spool
	Flags []mail.Flag
	// Date is the internal date; zero means now.
	Date time.Time
}

// Append files messages into a mailbox on behalf of its owner: all or none (RFC 9051 §6.3.12, RFC 3502, D-39). They are durable
// when it returns. Errors: fault.NotFound (IMAP: TRYCREATE), fault.OverQuota, fault.Invalid for flags, fault.Limited
// "keyword-limit", "message-limit" or "uid-limit", fault.Storage, fault.Unavailable.
func (s *Service) Append(ctx context.Context, p mail.Principal, account mail.UserID, name string, items ...Item) ([]Filed, error) {
	m, err := s.appendTarget(ctx, p, account, name)
	if err != nil {
		return nil, err
	}
	if err := s.checkItems(ctx, m, items); err != nil {
		return nil, err
	}
	letters := make([]Letter, 0, len(items))
	for _, item := range items {
		var l Letter
		if l, err = s.letter(ctx, m, item); err != nil {
			break
		}
		letters = append(letters, l)
	}
	if err == nil {
		err = s.bodies.Sync(ctx, account.String())
	}
	var filed []Filed
	if err == nil {
		filed, err = s.appendLetters(ctx, m, letters)
	}
	if pg.CommitUnknown(err) {
		if !s.committed(ctx, filed) {
			return nil, unknownOutcome(err) // the files stay: nobody knows
		}
		err = nil
	}
	if err != nil {
		s.discard(ctx, letters)
		return nil, pg.Fault(err)
	}
	s.changed(m.Key)
	return filed, nil
}

// committed asks whether messages are there whose commit was not confirmed (D-12).
func (s *Service) committed(ctx context.Context, filed []Filed) bool {
	parcels := make([]*parcel, len(filed))
	for i, f := range filed {
		parcels[i] = &parcel{id: f.Message, place: place{key: f.Key, id: f.Mailbox}}
	}
	_, found, err := s.ask(ctx, parcels)
	return found && err == nil
}

func (s *Service) appendTarget(ctx context.Context, p mail.Principal, account mail.UserID, name string) (Mailbox, error) {
	if err := scope(p, writeMessages); err != nil {
		return Mailbox{}, err
	}
	clean, err := CleanName(name)
	if err != nil {
		return Mailbox{}, errNotFound("mailbox")
	}
	m, err := s.load(ctx, s.pool, p, sqlMailboxByName, uuid(account), clean)
	if err != nil {
		return Mailbox{}, err
	}
	return m, s.hasRoom(m)
}

// checkItems refuses flags that are none, and keywords for which the mailbox has no room, before anything is written.
func (s *Service) checkItems(ctx context.Context, m Mailbox, items []Item) error {
	var names []string
	for _, item := range items {
		flags, err := checkFlags(item.Flags)
		if err != nil {
			return err
		}
		_, unknown := bitsOf(flags, m.Keywords)
		names = append(names, unknown...)
	}
	if len(names) == 0 {
		return nil
	}
	_, err := s.learn(ctx, s.pool, m.Key, names)
	return err
}

func (s *Service) letter(ctx context.Context, m Mailbox, item Item) (Letter, error) {
	meta, err := mime.Scan(item.Body, item.Body.Size())
	if err != nil {
		return Letter{}, err
	}
	ref, err := s.bodies.Put(ctx, m.Account.String(), item.Body.Source())
	if err != nil {
		return Letter{}, err
	}
	return Letter{
		Account: m.Account, Domain: m.Domain, Mailbox: m.Name, Body: ref, Meta: meta, Flags: item.Flags, InternalDate: item.Date,
	}, nil
}

const (
	sqlAppendTarget = `SELECT key FROM mailbox WHERE account_id = $1 AND name = $2`
	// Under the lock of the usage row, so that no number of appends at once goes over the quota (S-12).
	sqlAppendQuota = `
SELECT u.bytes, a.quota_bytes FROM account_usage u JOIN account a ON a.id = u.account_id WHERE u.account_id = $1 FOR UPDATE OF u`
)

// appendLetters files into exactly this mailbox, within the account's quota. When it was renamed or removed meanwhile it is not
// there: nothing falls back to the inbox.
func (s *Service) appendLetters(ctx context.Context, m Mailbox, letters []Letter) (filed []Filed, err error) {
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockMailboxes, []int64{m.Key}); err != nil {
			return err
		}
		var key int64
		err := tx.QueryRow(ctx, sqlAppendTarget, uuid(m.Account), m.Name).Scan(&key)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && key != m.Key {
			return errNotFound("mailbox")
		}
		if err != nil {
			return err
		}
		var used, quota, more int64
		if err := tx.QueryRow(ctx, sqlAppendQuota, uuid(m.Account)).Scan(&used, &quota); err != nil {
			return err
		}
		for _, l := range letters {
			more += l.Body.Size
		}
		if used+more > quota {
			return errQuota()
		}
		filed, _, err = s.File(ctx, tx, letters)
		return err
	})
	return filed, err
}

func errQuota() error {
	return fault.New(fault.OverQuota, "over-quota", "the mailbox is full; delete mail first")
}

const sqlQuota = `SELECT coalesce(u.bytes, 0), a.quota_bytes FROM account a LEFT JOIN account_usage u ON u.account_id = a.id WHERE a.id = $1`

// Admit reserves room for a message that a client announces, before its bytes are taken (S-12, D-6): the mailbox must be there,
// the store ready, and the size must fit the account's quota together with everything admitted and not yet released. Call
// release when the append is done or given up.
func (s *Service) Admit(ctx context.Context, p mail.Principal, account mail.UserID, name string, size int64) (release func(), err error) {
	m, err := s.appendTarget(ctx, p, account, name)
	if err != nil {
		return nil, err
	}
	if err := s.bodies.Ready(ctx); err != nil {
		return nil, err
	}
	release = s.admitted.add(m.Account, size)
	var used, quota int64
	err = s.pool.QueryRow(ctx, sqlQuota, uuid(account)).Scan(&used, &quota)
	if err == nil && used+s.admitted.sum(m.Account) > quota {
		err = errQuota()
	}
	if err != nil {
		release()
		return nil, pg.Fault(err)
	}
	return release, nil
}

// admissions counts the bytes that accounts have been promised room for.
type admissions struct {
	mu   sync.Mutex
	held map[mail.UserID]int64
}

func (a *admissions) add(account mail.UserID, n int64) (release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		a.held = make(map[mail.UserID]int64)
	}
	a.held[account] += n
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.held[account] -= n; a.held[account] <= 0 {
			delete(a.held, account)
		}
	})
}

func (a *admissions) sum(account mail.UserID) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held[account]
}

// OpenBody opens the bytes of a message that Rows, Message or List gave. A file that is not there is fault.Gone
// "content_missing" (D-27).
func (s *Service) OpenBody(ctx context.Context, p mail.Principal, account mail.UserID, file string) (Content, error) {
	if err := scope(p, readContent); err != nil {
		return nil, err
	}
	if err := s.mayUse(ctx, p, account); err != nil {
		return nil, err
	}
	f, err := s.bodies.Open(ctx, account.String(), file)
	if body.IsMissing(err) {
		s.log.ErrorContext(ctx, "message content missing", slog.String("account", account.String()), slog.String("file", file))
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Content is an open message. Close it.
type Content interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}

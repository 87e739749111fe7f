package mailbox

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// env is one database with one or more nodes on it.
type env struct {
	*Service
	t      testing.TB
	pool   *pg.Pool
	bodies *body.Store
	dir    string
	dsn    string
	domain mail.DomainID
	hook   atomic.Pointer[func(body.Step) error]
	// rereads counts views that the log did not bring up to date.
	rereads atomic.Int64
}

// rereadCounter is a log that counts one message.
type rereadCounter struct {
	slog.Handler
	n *atomic.Int64
}

func (c rereadCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c rereadCounter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == viewReread {
		c.n.Add(1)
	}
	return nil
}

func newEnv(tb testing.TB) *env {
	tb.Helper()
	e := &env{t: tb, dsn: pgtest.DSN(tb), dir: tb.TempDir()}
	e.pool = e.openPool(e.dsn)
	e.bodies = e.openBodies("n1")
	e.Service = e.node(e.pool, e.bodies, Options{})
	now := time.Now()
	e.domain = mail.DomainID{}.New(now)
	e.exec(`INSERT INTO domain (id, name, status, created_at, updated_at) VALUES ($1, 'example.test', 'verified', $2, $2)`, e.domain, now)
	return e
}

func (e *env) openPool(dsn string) *pg.Pool {
	e.t.Helper()
	pool, err := pg.Open(e.t.Context(), pg.Config{DSN: dsn})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(pool.Close)
	return pool
}

func (e *env) openBodies(node string) *body.Store {
	e.t.Helper()
	hook := func(st body.Step) error {
		if f := e.hook.Load(); f != nil {
			return (*f)(st)
		}
		return nil
	}
	bodies, err := body.Open(body.Options{Dir: e.dir, Node: node, Hook: hook}, clock.System(), slog.New(slog.DiscardHandler))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { bodies.Close() })
	return bodies
}

// node starts one more service, as a process of its own would have it.
func (e *env) node(pool *pg.Pool, bodies *body.Store, o Options) *Service {
	e.t.Helper()
	s := New(pool, bodies, bus.New(), clock.System(), slog.New(rereadCounter{slog.DiscardHandler, &e.rereads}), o)
	s.Start(e.t.Context())
	e.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			e.t.Errorf("the committer did not stop: %v", err)
		}
	})
	return s
}

func (e *env) exec(sql string, args ...any) {
	e.t.Helper()
	if _, err := e.pool.Exec(e.t.Context(), sql, args...); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
}

func scan[T any](e *env, sql string, args ...any) T {
	e.t.Helper()
	var out T
	if err := e.pool.QueryRow(e.t.Context(), sql, args...).Scan(&out); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// person is an account with its default mailboxes.
type person struct {
	e     *env
	id    mail.UserID
	p     mail.Principal
	inbox int64
}

var people atomic.Int64

func (e *env) person() *person {
	e.t.Helper()
	now := time.Now()
	who := &person{e: e, id: mail.UserID{}.New(now)}
	email := fmt.Sprintf("u%d@example.test", people.Add(1))
	err := pg.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO account (id, domain_id, email, local, role, status, password_hash, quota_bytes, created_at, updated_at)
			VALUES ($1, $2, $3, 'u', 'user', 'active', '', 1000000000, $4, $4)`, who.id, e.domain, email, now)
		if err != nil {
			return err
		}
		return e.CreateDefaults(ctx, tx, who.id)
	})
	if err != nil {
		e.t.Fatal(err)
	}
	who.p = mail.Principal{User: who.id, Role: mail.RoleUser}
	who.inbox = who.box(Inbox).Key
	return who
}

func (w *person) box(name string) Mailbox {
	w.e.t.Helper()
	m, err := w.e.GetByName(w.e.t.Context(), w.p, w.id, name)
	if err != nil {
		w.e.t.Fatalf("%s: %v", name, err)
	}
	return m
}

const sample = "From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nSubject: hello\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@example.test>\r\n\r\nbody of the letter\r\n"

// letter puts a body and gives the letter for it.
func (w *person) letter(text string) Letter {
	w.e.t.Helper()
	l, err := w.try(w.e.bodies, text)
	if err != nil {
		w.e.t.Fatal(err)
	}
	return l
}

func (w *person) try(bodies *body.Store, text string) (Letter, error) {
	meta, err := mime.Scan(strings.NewReader(text), int64(len(text)))
	if err != nil {
		return Letter{}, err
	}
	ref, err := bodies.Put(context.Background(), w.id.String(), body.Bytes([]byte(text)))
	return Letter{Account: w.id, Domain: w.e.domain, Body: ref, Meta: meta}, err
}

// deliver files n copies of the sample into the inbox by one call each.
func (w *person) deliver(n int) []Filed {
	w.e.t.Helper()
	var out []Filed
	for range n {
		filed, err := w.e.Deliver(w.e.t.Context(), []Letter{w.letter(sample)})
		if err != nil {
			w.e.t.Fatal(err)
		}
		out = append(out, filed...)
	}
	return out
}

func (w *person) view(key int64) *View {
	w.e.t.Helper()
	v, _, err := w.e.View(w.e.t.Context(), w.p, key)
	if err != nil {
		w.e.t.Fatal(err)
	}
	return v
}

func (w *person) uids(key int64) []uint32 {
	w.e.t.Helper()
	out := []uint32{}
	for _, e := range w.view(key).From(0) {
		out = append(out, e.UID)
	}
	return out
}

// rows reads a mailbox from the database, past all caches.
func (e *env) rows(key int64) []Entry {
	e.t.Helper()
	rows, err := e.pool.Query(e.t.Context(), `SELECT uid, flags, modseq, message_key FROM mailbox_message WHERE mailbox_key = $1 ORDER BY uid`, key)
	if err != nil {
		e.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Entry, error) {
		var uid, bits, modseq int64
		var x Entry
		err := row.Scan(&uid, &bits, &modseq, &x.Message)
		x.UID, x.Flags, x.ModSeq = uint32(uid), mail.FlagSet(bits), uint64(modseq)
		return x, err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// recount compares every counter with what it counts.
func (e *env) recount(t interface{ Fatalf(string, ...any) }) {
	bad := scan[int](e, `
		SELECT count(*) FROM mailbox m CROSS JOIN LATERAL (
			SELECT count(*) AS total, count(*) FILTER (WHERE mm.flags & 1 = 0) AS unseen, coalesce(sum(g.size), 0) AS bytes,
				coalesce(max(mm.uid), 0) AS uid, coalesce(max(mm.modseq), 0) AS modseq
			FROM mailbox_message mm JOIN message g ON g.key = mm.message_key WHERE mm.mailbox_key = m.key
		) c WHERE (m.total, m.unseen, m.bytes) <> (c.total, c.unseen, c.bytes) OR m.uid_next <= c.uid OR m.modseq < c.modseq`)
	if bad > 0 {
		t.Fatalf("%d mailboxes have counters that are not true", bad)
	}
	bad = scan[int](e, `SELECT count(*) FROM message g WHERE refs <> (SELECT count(*) FROM mailbox_message WHERE message_key = g.key)`)
	if bad > 0 {
		t.Fatalf("%d messages have a wrong refs", bad)
	}
	bad = scan[int](e, `SELECT count(*) FROM account_usage u CROSS JOIN LATERAL (
			SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM message WHERE account_id = u.account_id) c
		WHERE (u.messages, u.bytes) <> (c.n, c.bytes)`)
	if bad > 0 {
		t.Fatalf("%d accounts have a wrong usage", bad)
	}
}

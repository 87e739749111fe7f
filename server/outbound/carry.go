package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// carry brings one letter to the recipients of a group and records what became of it. It never panics: a letter that makes a
// worker stumble is deferred like any other and does not come back at once.
func (s *Service) carry(ctx context.Context, name, token string, g group) (out outcome) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		defer s.metrics.OutboundDialogue()()
	case <-ctx.Done():
		return outcome{left: aborted(g, all(g, smtpout.Result{Outcome: smtpout.Aborted}))}
	}
	defer func() {
		if p := recover(); p != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "a delivery panicked", slog.String("email_id", g.email.ID.String()),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			out = outcome{err: s.settle(ctx, token, g, all(g, ownFailure("internal error", fmt.Errorf("panic: %v", p))))}
		}
	}()
	results := s.dialogue(ctx, name, g)
	out = outcomeOf(results)
	out.left = aborted(g, results)
	out.err = s.settle(ctx, token, g, results)
	return out
}

// aborted gives the recipients about whom nothing was decided.
func aborted(g group, results []smtpout.Result) (ids []mail.DeliveryID) {
	for i, r := range g.recipients {
		if results[i].Outcome == smtpout.Aborted {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// dialogue prepares the letter and hands it to a courier.
func (s *Service) dialogue(ctx context.Context, name string, g group) []smtpout.Result {
	e := g.email
	if g.trouble != nil {
		return all(g, s.ownTrouble(ctx, e, g.trouble))
	}
	file, err := s.bodies.Open(ctx, bodyOwner, e.File)
	if err != nil {
		return all(g, s.ownTrouble(ctx, e, err))
	}
	defer file.Close() // it was only read
	if err := s.prepare(ctx, e, file); err != nil {
		return all(g, s.ownTrouble(ctx, e, err))
	}
	at := berth{name, g.way.key}
	courier := s.courier(at, g.way)
	letter := smtpout.Letter{
		From: e.EnvelopeFrom, To: make([]mail.Address, len(g.recipients)), Size: int64(len(e.Signature)) + e.Size, EightBit: e.EightBit,
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(e.Signature), io.NewSectionReader(file, 0, e.Size))), nil
		},
		Attempt: g.recipients[0].Attempts + 1,
		// The context ends when the lease is in danger: then the final dot must not be sent (O-30).
		Proceed: ctx.Err,
	}
	for i, r := range g.recipients {
		letter.To[i] = r.Address
	}
	results := courier.Carry(ctx, letter)
	if ctx.Err() != nil {
		courier.Close()
		return results
	}
	s.fleet.park(at, courier, s.clock.Now().Add(idleFor))
	for i, r := range results {
		if r.Outcome == smtpout.Aborted { // our bytes could not be read, or are not those that were accepted
			results[i] = s.ownTrouble(ctx, e, r.Err)
		}
	}
	return results
}

// courier gives one whose connection is still open, or a fresh one.
func (s *Service) courier(at berth, w way) *smtpout.Courier {
	if c := s.fleet.take(at); c != nil {
		return c
	}
	if w.relay != nil {
		return s.client.RelayCourier(*w.relay)
	}
	return s.client.Courier(at.destination)
}

// ownTrouble is the result when a letter could not even be tried. What the end of the context caused is no result.
func (s *Service) ownTrouble(ctx context.Context, e *Email, err error) smtpout.Result {
	if ctx.Err() != nil {
		return smtpout.Result{Outcome: smtpout.Aborted, Err: err}
	}
	s.log.LogAttrs(ctx, slog.LevelError, "a letter cannot be sent now", slog.String("email_id", e.ID.String()), slog.Any("error", err))
	switch {
	case body.IsMissing(err):
		return ownFailure("the stored message is missing", err) // it may be restored from a backup (D-27)
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.TooLarge):
		return smtpout.Result{Outcome: smtpout.Refused, Code: 550, Enhanced: "5.6.0", Text: fault.Public(err), Class: classOwn, Err: err}
	case fault.Is(err, fault.Unavailable) && !pg.Unavailable(err):
		return ownFailure(fault.Public(err), err)
	}
	return ownFailure("temporary failure", err)
}

// classOwn is the class of results that say nothing about another server.
const classOwn = "own"

func ownFailure(text string, err error) smtpout.Result {
	return smtpout.Result{Outcome: smtpout.Deferred, Code: 451, Enhanced: "4.3.0", Text: text, Class: classOwn, Err: err}
}

// all gives every recipient of the group the same result.
func all(g group, r smtpout.Result) []smtpout.Result {
	return slices.Repeat([]smtpout.Result{r}, len(g.recipients))
}

// outcomeOf gives what the results say about the destination: nothing when no server was reached and that was not its fault, or
// when we had not come so far. A server that spoke is well, whatever it answered to a recipient (O-42).
func outcomeOf(results []smtpout.Result) outcome {
	var out outcome
	for _, r := range results {
		if r.Outcome == smtpout.Aborted || r.Class == classOwn {
			continue
		}
		out.reply, out.host = r.Reply(), r.Host
		out.trouble = out.trouble || r.HostTrouble
		out.spoke = out.spoke || r.Addr.IsValid() && !r.HostTrouble && r.Class != smtpout.ClassNetwork && r.Class != smtpout.ClassRouting
		out.delivered = out.delivered || r.Outcome == smtpout.Delivered
		if r.Class == smtpout.ClassReputation || r.Class == smtpout.ClassThrottle {
			out.pause = max(out.pause, r.RetryAfter)
		}
	}
	return out
}

// How long a result is tried to be stored: the other server has the letter, and only our row does not say so (D-29).
const (
	settleFor  = time.Minute
	settleLast = 15 * time.Second // when the job has been stopped
)

// settle records the results of a group in one transaction. While the database is away it tries again.
func (s *Service) settle(ctx context.Context, token string, g group, results []smtpout.Result) error {
	within := settleFor
	if ctx.Err() != nil {
		within = settleLast
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	wait := 100 * time.Millisecond
	for {
		err := s.settleInTurn(ctx, token, g, results)
		if err == nil || !pg.Unavailable(err) && !pg.CommitUnknown(err) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// settleInTurn waits for a place among the writers.
func (s *Service) settleInTurn(ctx context.Context, token string, g group, results []smtpout.Result) error {
	select {
	case s.writers <- struct{}{}:
		defer func() { <-s.writers }()
		return s.settleOnce(ctx, token, g, results)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) settleOnce(ctx context.Context, token string, g group, results []smtpout.Result) error {
	now := s.clock.Now().Truncate(time.Microsecond)
	var settled []Recipient
	for i, r := range g.recipients {
		if results[i].Outcome != smtpout.Aborted {
			s.judge(g.email, &r, results[i], now)
			settled = append(settled, r)
		}
	}
	for len(settled) > 0 {
		taken, err := s.write(ctx, token, g.email, settled)
		if err != nil {
			return err
		}
		if len(taken) == 0 {
			s.announce()
			g.email.fresh = false
			for i := range settled {
				s.count(g.email, settled[i])
			}
			return nil
		}
		settled = slices.DeleteFunc(settled, func(r Recipient) bool { return slices.Contains(taken, r.ID) })
	}
	return nil
}

// write stores results and what follows from them in one transaction and one round trip. When some recipients are not this
// worker's any more nothing is written, and they are given back.
func (s *Service) write(ctx context.Context, token string, e *Email, settled []Recipient) (taken []mail.DeliveryID, err error) {
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		b := &pgx.Batch{}
		for i := range settled {
			queueSettle(b, token, &settled[i])
		}
		if err := queueRecord(b, e, settled); err != nil {
			return err
		}
		if taken, err = sendSettle(ctx, tx, b, settled); err != nil {
			return err
		}
		if len(taken) > 0 {
			return errTaken
		}
		return reportLater(ctx, tx, e, settled)
	})
	if errors.Is(err, errTaken) {
		return taken, nil
	}
	return nil, err
}

var errTaken = errors.New("another worker has some of the recipients")

// record writes what follows from results that were written: the signature that went out, the events, the email's own state, the
// report of a failure.
func (s *Service) record(ctx context.Context, tx pgx.Tx, e *Email, written []Recipient) error {
	b := &pgx.Batch{}
	if err := queueRecord(b, e, written); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("record results: %w", err)
	}
	return reportLater(ctx, tx, e, written)
}

func queueRecord(b *pgx.Batch, e *Email, written []Recipient) error {
	events := make([]event.Event, len(written))
	for i := range written {
		events[i] = resultEvent(e, &written[i])
	}
	if err := event.AppendBatch(b, written[0].UpdatedAt, events...); err != nil {
		return err
	}
	// The email's row is locked before its recipients are looked at, so that the last two of them cannot both miss that they
	// were the last.
	b.Queue(sqlLockEmail, e.ID)
	b.Queue(sqlSettleEmail, e.ID, e.fresh, e.Signature, e.EightBit)
	return nil
}

func reportLater(ctx context.Context, tx pgx.Tx, e *Email, written []Recipient) error {
	if !reportable(e) || !slices.ContainsFunc(written, func(r Recipient) bool { return r.failed() || r.late(e) }) {
		return nil
	}
	return queue.Insert(ctx, tx, ReportArgs{Email: e.ID})
}

// judge turns the result of a dialogue into the recipient's state (O-23).
func (s *Service) judge(e *Email, r *Recipient, res smtpout.Result, now time.Time) {
	r.UpdatedAt, r.Attempts, r.LastReply = now, r.Attempts+1, res.Reply()
	r.Host, r.TLS, r.Class, r.Took = res.Host, res.TLS, res.Class, res.Took
	r.Transport, r.possibleDuplicate = TransportSMTP, res.MaybeDelivered
	if strings.Contains(r.Destination, ":") {
		r.Transport = TransportRelay
	}
	switch res.Outcome {
	case smtpout.Delivered:
		r.Status = Delivered
	case smtpout.Refused:
		r.Status = Bounced
	default:
		s.postpone(e, r, now, res.RetryAfter)
	}
}

// maxHints is how often the time that another server names is believed; after that the ladder counts, or a server that says
// "in a minute" for ever would be asked for five days each minute.
const maxHints = 5

// postpone gives a deferred recipient its next attempt: where the other server names a time, soon after that one, else the
// ladder's. Who has had the last attempt has failed.
func (s *Service) postpone(e *Email, r *Recipient, now time.Time, hint time.Duration) {
	at, ok := ladder(s.cfg.Retry).next(e.ID, r.Attempts, now, e.ExpiresAt)
	switch {
	case !ok:
		age := now.Sub(e.CreatedAt).Round(time.Minute)
		r.Status, r.LastReply = Failed, fmt.Sprintf("451 4.4.7 given up after %s; last answer: %s", inWords(age), r.LastReply)
		return
	case hint > 0 && r.Attempts <= maxHints:
		wait := time.Duration(float64(hint) * (1 + jitterShare + jitter(e.ID, r.Attempts))) // never before the time that was named
		if then := now.Add(wait); then.Before(e.ExpiresAt) {
			at = then.Truncate(time.Microsecond)
		}
	}
	r.Status, r.NextAt = Deferred, at
}

// inWords gives an age in days and hours, or in minutes when it is short.
func inWords(age time.Duration) string {
	days, hours := int(age/(24*time.Hour)), int(age%(24*time.Hour)/time.Hour)
	switch {
	case days > 0 && hours > 0:
		return fmt.Sprintf("%d days %d hours", days, hours)
	case days > 0:
		return fmt.Sprintf("%d days", days)
	case hours > 0:
		return fmt.Sprintf("%d hours", hours)
	}
	return fmt.Sprintf("%d minutes", int(age/time.Minute))
}

// A result counts for who was claimed by this worker and is not finished; a delivery counts whoever has claimed the recipient by
// now, for it cannot be undone.
const sqlSettle = `
UPDATE email_recipient r
SET status = $3, attempts = $4, next_at = $5, wake_at = $5, lease = '', transport = $6, last_reply = $7, last_host = $8, last_tls = $9,
    last_class = $10, last_ms = $11, updated_at = $12
WHERE r.id = $1 AND r.status IN ('queued', 'deferred', 'held') AND (r.lease = $2 OR $3 = 'delivered')`

func queueSettle(b *pgx.Batch, token string, r *Recipient) {
	b.Queue(sqlSettle, r.ID, token, string(r.Status), r.Attempts, r.NextAt, r.Transport, r.LastReply, r.Host, r.TLS, r.Class,
		r.Took.Milliseconds(), r.UpdatedAt)
}

// sendSettle sends the batch, which begins with the results, and gives the recipients whose result was not written.
func sendSettle(ctx context.Context, tx pgx.Tx, b *pgx.Batch, settled []Recipient) (taken []mail.DeliveryID, err error) {
	results := tx.SendBatch(ctx, b)
	for _, r := range settled {
		tag, err := results.Exec()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("settle recipients: %w", err), results.Close())
		}
		if tag.RowsAffected() == 0 {
			taken = append(taken, r.ID)
		}
	}
	if err := results.Close(); err != nil {
		return nil, fmt.Errorf("record results: %w", err)
	}
	return taken, nil
}

package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// MaxBatch is how many emails a batch may have.
	MaxBatch = 1000
	// maxBatchRecipients bounds the rows of one transaction.
	maxBatchRecipients = 10_000
	// maxBatchBytes bounds what a small request that names large blobs makes us write.
	maxBatchBytes = 1 << 30
	// batchWriters is how many messages of a batch are composed and written at once.
	batchWriters = 8
	// batchEffect begins the reference by which a repeated request finds what a batch has become.
	batchEffect = "batch_"
)

// BatchMode says what becomes of the others when one email of a batch is refused.
type BatchMode string

// The modes of a batch.
const (
	AllOrNothing BatchMode = "all_or_nothing"
	PerItem      BatchMode = "per_item"
)

// BatchItem is one email of a batch. Err is set when it was refused while it was read; its places begin with "body", as those of
// a single email.
type BatchItem struct {
	Draft Draft
	Err   error
}

// BatchResult is what became of one email of a batch: exactly one of the two is set. Places in Err begin with "body[n]".
type BatchResult struct {
	Email *Email
	Err   error
}

// AcceptBatch takes 1 to MaxBatch emails in one transaction: when it returns without error, every email in the results is on
// stable storage (D-14). With AllOrNothing one refused email refuses all; with PerItem it stands in its place among the results.
// The error has the findings of all emails, each at its place, as "body[3].from".
func (s *Service) AcceptBatch(ctx context.Context, p mail.Principal, items []BatchItem, mode BatchMode) ([]BatchResult, error) {
	if err := scope(p, scopeSend); err != nil {
		return nil, err
	}
	if err := CheckBatch(len(items)); err != nil {
		return nil, err
	}
	if err := s.Ready(ctx); err != nil {
		return nil, err
	}
	b := &batch{s: s, p: p, items: items, all: mode != PerItem, results: make([]BatchResult, len(items))}
	err := b.examine(ctx)
	if err == nil {
		err = b.write(ctx)
	}
	if err != nil {
		s.forgetAll(ctx, b.emails())
		return nil, err
	}
	emails := b.emails()
	if len(emails) == 0 {
		return b.results, nil
	}
	effect, err := b.effect()
	if err != nil {
		s.forgetAll(ctx, emails)
		return nil, err
	}
	if err := s.commit(ctx, emails, effect); err != nil {
		return nil, err
	}
	return b.results, nil
}

// CheckBatch refuses a batch of n emails for its length alone.
func CheckBatch(n int) error {
	if n == 0 || n > MaxBatch {
		return fault.New(fault.Invalid, "validation-failed", "a batch has 1 to %d emails", MaxBatch).At("body")
	}
	return nil
}

// batch is a batch that is being accepted.
type batch struct {
	s       *Service
	p       mail.Principal
	items   []BatchItem
	all     bool
	results []BatchResult
}

// examine decides about every email before anything is written.
func (b *batch) examine(ctx context.Context) error {
	recipients := 0
	for i := range b.items {
		e, err := b.items[i].Draft.route(ctx, b.s, b.p, b.items[i].Err)
		if err := b.settle(i, e, err); err != nil {
			return err
		}
		if e != nil {
			recipients += len(e.Recipients)
		}
	}
	if recipients > maxBatchRecipients {
		return fault.New(fault.Invalid, "validation-failed", "%d recipients in all emails together; at most %d are allowed in one batch",
			recipients, maxBatchRecipients).At("body")
	}
	return b.refused()
}

// route examines the draft, unless it was refused before, and finds the way to each recipient.
func (d *Draft) route(ctx context.Context, s *Service, p mail.Principal, before error) (*Email, error) {
	if before != nil {
		return nil, before
	}
	e, err := s.examine(ctx, p, d)
	if err != nil {
		return nil, err
	}
	if err := s.route(ctx, e); err != nil {
		return nil, err
	}
	return e, nil
}

// write composes the emails and puts their bytes, several at once.
func (b *batch) write(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(batchWriters)
	var written atomic.Int64
	for i := range b.items {
		e := b.results[i].Email
		if e == nil {
			continue
		}
		group.Go(func() error {
			if err := b.settle(i, e, b.writeOne(inner, &b.items[i].Draft, e)); err != nil {
				return err
			}
			if written.Add(e.Size) > maxBatchBytes {
				return fault.New(fault.TooLarge, "message-too-large",
					"the messages with their attachments are larger than %d octets together; send them in several batches", maxBatchBytes)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return b.refused()
}

func (b *batch) writeOne(ctx context.Context, d *Draft, e *Email) error {
	if err := b.s.Ready(ctx); err != nil {
		return err
	}
	spool := b.s.bodies.NewSpool()
	defer spool.Close() // nothing is kept in it
	if err := b.s.compose(spool, d, e); err != nil {
		return err
	}
	*d = Draft{} // its attachments are written
	return b.s.put(ctx, e, spool.Source())
}

// settle records what became of one email: what is wrong with it is its result, what is wrong with us ends the batch.
func (b *batch) settle(i int, e *Email, err error) error {
	if err == nil {
		b.results[i] = BatchResult{Email: e}
		return nil
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind.Temporary() {
		return err
	}
	b.results[i] = BatchResult{Err: located(f, i)}
	return nil
}

// refused gives the refusals of a batch of which all or nothing is accepted, as one.
func (b *batch) refused() error {
	if !b.all {
		return nil
	}
	var one *fault.Error
	for _, r := range b.results {
		var f *fault.Error
		switch {
		case !errors.As(r.Err, &f):
		case one == nil:
			copied := *f
			one = &copied
		default:
			if f.Kind != one.Kind || f.Code != one.Code {
				one.Kind, one.Code = fault.Invalid, "validation-failed"
			}
			one.Details = append(one.Details, f.Details...)
		}
	}
	if one == nil {
		return nil
	}
	one.Details = one.Details[:min(len(one.Details), maxFindings)]
	return one
}

// emails are those that are not refused.
func (b *batch) emails() []*Email {
	var out []*Email
	for _, r := range b.results {
		if r.Email != nil {
			out = append(out, r.Email)
		}
	}
	return out
}

// located gives the refusal of a single email its place in a batch, with at least one detail.
func located(f *fault.Error, index int) *fault.Error {
	out := &fault.Error{Kind: f.Kind, Code: f.Code, Err: f.Err}
	for _, d := range detailsOf(f) {
		d.Field = "body[" + strconv.Itoa(index) + "]" + strings.TrimPrefix(d.Field, "body")
		out.Details = append(out.Details, d)
	}
	out.Field = out.Details[0].Field
	out.Text = out.Field + ": " + out.Details[0].Text
	return out
}

// detailsOf gives what a refusal says, located, at least one.
func detailsOf(f *fault.Error) []fault.Detail {
	if len(f.Details) > 0 {
		return f.Details
	}
	d := fault.Detail{Field: f.Field, Code: f.Code, Text: strings.TrimPrefix(f.Text, f.Field+": ")}
	if d.Field == "" {
		d.Field = "body"
	}
	return []fault.Detail{d}
}

// batchRecord is one result as the effect holds it.
type batchRecord struct {
	Email   mail.EmailID  `json:"email,omitzero"`
	Kind    fault.Kind    `json:"kind,omitempty"`
	Code    string        `json:"code,omitempty"`
	Text    string        `json:"text,omitempty"`
	Field   string        `json:"field,omitempty"`
	Details []batchDetail `json:"details,omitempty"`
}

// batchDetail is a fault.Detail as the effect holds it.
type batchDetail struct {
	Field string `json:"field"`
	Code  string `json:"code"`
	Text  string `json:"text"`
}

// effect is the reference of the results: the emails by their ids, refusals as they are, for nothing else remembers them.
func (b *batch) effect() (string, error) {
	records := make([]batchRecord, len(b.results))
	for i, r := range b.results {
		var f *fault.Error
		if !errors.As(r.Err, &f) {
			records[i].Email = r.Email.ID
			continue
		}
		records[i] = batchRecord{Kind: f.Kind, Code: f.Code, Text: f.Text, Field: f.Field}
		for _, d := range f.Details {
			records[i].Details = append(records[i].Details, batchDetail(d))
		}
	}
	text, err := json.Marshal(records)
	return batchEffect + string(text), err
}

// Batch gives the results of an earlier AcceptBatch from the effect that it recorded.
func (s *Service) Batch(ctx context.Context, p mail.Principal, effect string) ([]BatchResult, error) {
	if err := scope(p, scopeSend); err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(effect, batchEffect)
	var records []batchRecord
	if err := json.Unmarshal([]byte(text), &records); err != nil || !ok {
		return nil, fmt.Errorf("not the effect of a batch: %w", err)
	}
	var ids []mail.EmailID
	for _, r := range records {
		if !r.Email.IsZero() {
			ids = append(ids, r.Email)
		}
	}
	found, err := s.emailsByID(ctx, ids)
	if err != nil {
		return nil, pg.Fault(err)
	}
	out := make([]BatchResult, len(records))
	for i, r := range records {
		if r.Email.IsZero() {
			out[i].Err = r.refusal()
			continue
		}
		e := found[r.Email]
		if e == nil || !maySee(p, e) {
			return nil, fault.New(fault.NotFound, "not-found", "no email %s", r.Email)
		}
		out[i].Email = e
	}
	return out, nil
}

// refusal is the error that the record was made of.
func (r *batchRecord) refusal() error {
	out := &fault.Error{Kind: r.Kind, Code: r.Code, Text: r.Text, Field: r.Field}
	for _, d := range r.Details {
		out.Details = append(out.Details, fault.Detail(d))
	}
	return out
}

// emailsByID reads emails with their recipients.
func (s *Service) emailsByID(ctx context.Context, ids []mail.EmailID) (map[mail.EmailID]*Email, error) {
	found, err := getEmails(ctx, s.pool, ids)
	if err != nil {
		return nil, err
	}
	return found, addRecipients(ctx, s.pool, slices.Collect(maps.Values(found)))
}

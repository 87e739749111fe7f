package mailbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Message is a stored message and the places where its account shows it.
type Message struct {
	ID           mail.MessageID
	Account      mail.UserID
	Domain       mail.DomainID
	File         string
	Size         int64
	SHA256       [32]byte
	InternalDate time.Time
	Structure    *mime.Message
	Places       []Place // in the order of mailbox key and uid; at least one
}

// Place is where a message stands in a mailbox.
type Place struct {
	Mailbox mail.MailboxID
	Key     int64
	UID     uint32
	ModSeq  uint64
	Flags   []mail.Flag
}

const sqlMessage = `
SELECT g.id, g.account_id, a.domain_id, g.file, g.size, g.sha256, g.internal_date, g.meta, m.id, m.key, mm.uid, mm.modseq, mm.flags, m.keywords
FROM message g JOIN account a ON a.id = g.account_id
JOIN mailbox_message mm ON mm.message_key = g.key JOIN mailbox m ON m.key = mm.mailbox_key
WHERE g.id = $1 ORDER BY mm.mailbox_key, mm.uid`

// Message gives a message by its id.
func (s *Service) Message(ctx context.Context, p mail.Principal, id mail.MessageID) (Message, error) {
	if err := scope(p, readMessages); err != nil {
		return Message{}, err
	}
	m, meta, err := s.message(ctx, p, id)
	if err != nil {
		return Message{}, err
	}
	m.Structure, err = mime.Decode(meta)
	return m, err
}

func (s *Service) message(ctx context.Context, p mail.Principal, id mail.MessageID) (Message, []byte, error) {
	rows, err := s.pool.Query(ctx, sqlMessage, uuid(id))
	if err != nil {
		return Message{}, nil, pg.Fault(err)
	}
	var (
		out              Message
		at               Place
		meta, sum        []byte
		uid, bits, modsq int64
		keywords         []string
	)
	into := []any{
		&out.ID, &out.Account, &out.Domain, &out.File, &out.Size, &sum, &out.InternalDate, &meta,
		&at.Mailbox, &at.Key, &uid, &modsq, &bits, &keywords,
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		at.UID, at.ModSeq, at.Flags = uint32(uid), uint64(modsq), mail.FlagSet(bits).Flags(keywords)
		out.Places = append(out.Places, at)
		return nil
	})
	if err != nil {
		return Message{}, nil, pg.Fault(err)
	}
	if len(out.Places) == 0 || !p.MayUser(out.Account, out.Domain) {
		return Message{}, nil, errNotFound("message")
	}
	copy(out.SHA256[:], sum)
	out.InternalDate = out.InternalDate.UTC()
	return out, meta, nil
}

// MessageQuery says which messages of a mailbox are wanted, newest first.
type MessageQuery struct {
	// Before is the uid that the page before ended with; 0 is the beginning.
	Before uint32
	// Limit is 1 to 200; 0 means 50.
	Limit int
	// Unseen and Flagged restrict to messages without \Seen and with \Flagged.
	Unseen, Flagged bool
}

// Summary is a message in a list for people.
type Summary struct {
	ID           mail.MessageID
	UID          uint32
	ModSeq       uint64
	Flags        []mail.Flag
	Size         int64
	InternalDate time.Time
	// Date is the Date field, or InternalDate when there is none that can be read.
	Date        time.Time
	From, To    []mime.Address
	Cc          []mime.Address
	Subject     string
	Preview     string
	Attachments []string
}

const sqlSummaries = `
SELECT g.id, mm.uid, mm.modseq, mm.flags, g.size, g.internal_date, g.meta
FROM mailbox_message mm JOIN message g ON g.key = mm.message_key
WHERE mm.mailbox_key = $1 AND mm.uid < $2::bigint AND mm.flags & $3::int = $4::int
ORDER BY mm.uid DESC LIMIT $5`

// Messages lists messages of a mailbox, the newest first. next is the Before of the following page, 0 when this one is the last.
func (s *Service) Messages(ctx context.Context, p mail.Principal, id mail.MailboxID, q MessageQuery) (page []Summary, next uint32, err error) {
	if err := scope(p, readMessages); err != nil {
		return nil, 0, err
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	if q.Limit < 1 || q.Limit > 200 {
		return nil, 0, fault.New(fault.Invalid, "invalid-limit", "limit must be 1 to 200").At("limit")
	}
	m, err := s.load(ctx, s.pool, p, sqlMailboxByID, uuid(id))
	if err != nil {
		return nil, 0, err
	}
	before := int64(q.Before)
	if before == 0 {
		before = MaxUID + 1
	}
	var mask, value mail.FlagSet
	if q.Unseen {
		mask |= mail.SeenBit
	}
	if q.Flagged {
		mask, value = mask|mail.FlaggedBit, mail.FlaggedBit
	}
	rows, err := s.pool.Query(ctx, sqlSummaries, m.Key, before, int32(mask), int32(value), q.Limit+1)
	if err != nil {
		return nil, 0, pg.Fault(err)
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Summary, error) { return scanSummary(row, m.Keywords) })
	if err != nil {
		return nil, 0, pg.Fault(err)
	}
	if len(page) > q.Limit {
		page = page[:q.Limit]
		next = page[q.Limit-1].UID
	}
	return page, next, nil
}

func scanSummary(row pgx.CollectableRow, keywords []string) (Summary, error) {
	var out Summary
	var uid, modseq, bits int64
	var meta []byte
	if err := row.Scan(&out.ID, &uid, &modseq, &bits, &out.Size, &out.InternalDate, &meta); err != nil {
		return out, err
	}
	out.UID, out.ModSeq, out.Flags = uint32(uid), uint64(modseq), mail.FlagSet(bits).Flags(keywords)
	out.InternalDate = out.InternalDate.UTC()
	m, err := mime.Decode(meta)
	if err != nil {
		return out, err
	}
	out.summarise(m)
	return out, nil
}

func (out *Summary) summarise(m *mime.Message) {
	e := m.Envelope
	out.Date = out.InternalDate
	if t, ok := e.Time(); ok {
		out.Date = t
	}
	out.From, out.To, out.Cc = mime.Decoded(e.From), mime.Decoded(e.To), mime.Decoded(e.Cc)
	out.Subject, out.Preview, out.Attachments = mime.DecodeHeader(e.Subject), m.Preview, m.Attachments
}

// Summary gives the message as a list shows it, with the flags of its first place.
func (m *Message) Summary() Summary {
	at := m.Places[0]
	out := Summary{ID: m.ID, UID: at.UID, ModSeq: at.ModSeq, Flags: at.Flags, Size: m.Size, InternalDate: m.InternalDate}
	out.summarise(m.Structure)
	return out
}

// SetFlags changes the flags of a message in every mailbox that shows it.
func (s *Service) SetFlags(ctx context.Context, p mail.Principal, id mail.MessageID, change FlagChange) error {
	return s.everywhere(ctx, p, id, func(m Mailbox, at Place) error {
		_, err := s.store(ctx, m, UIDs(at.UID), change)
		return err
	})
}

// DeleteMessage removes a message from every mailbox that shows it.
func (s *Service) DeleteMessage(ctx context.Context, p mail.Principal, id mail.MessageID) error {
	return s.everywhere(ctx, p, id, func(m Mailbox, at Place) error {
		_, err := s.remove(ctx, m, UIDs(at.UID), 0)
		return err
	})
}

// everywhere calls f for every place of a message. A place that is gone by then is passed over.
func (s *Service) everywhere(ctx context.Context, p mail.Principal, id mail.MessageID, f func(Mailbox, Place) error) error {
	if err := scope(p, writeMessages); err != nil {
		return err
	}
	msg, _, err := s.message(ctx, p, id)
	if err != nil {
		return err
	}
	for _, at := range msg.Places {
		m, err := s.load(ctx, s.pool, p, sqlMailboxByKey, at.Key)
		if err == nil {
			err = f(m, at)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// MoveMessage moves a message into another mailbox of its account; afterwards it is there once, and nowhere else. One that is
// there already stays.
func (s *Service) MoveMessage(ctx context.Context, p mail.Principal, id mail.MessageID, to mail.MailboxID) error {
	if err := scope(p, writeMessages); err != nil {
		return err
	}
	msg, _, err := s.message(ctx, p, id)
	if err != nil {
		return err
	}
	target, err := s.load(ctx, s.pool, p, sqlMailboxByID, uuid(to))
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return fault.Wrap(err, fault.Invalid, "mailbox-not-found", "there is no such mailbox").At("mailbox_id")
		}
		return err
	}
	there := false
	for _, at := range msg.Places {
		there = there || at.Key == target.Key
	}
	for _, at := range msg.Places {
		switch {
		case at.Key == target.Key:
			continue
		case there:
			_, err = s.Remove(ctx, p, at.Key, UIDs(at.UID))
		default:
			_, err = s.Move(ctx, p, at.Key, UIDs(at.UID), target.Key)
			there = true
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

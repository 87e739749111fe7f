package imapd

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// maxSearchText bounds the text of one message that a search looks at.
const maxSearchText = 4 << 20

// candidate is a message that a search looks at. What has been read stays for the other keys.
type candidate struct {
	q   *query
	i   int
	e   mailbox.Entry
	row *mailbox.Row

	envelope *envelopeText
	meta     *mime.Message
	content  mailbox.Content
	header   []mime.Field
	text     *string
	err      error
}

// open opens the message. One without content matches nothing that lies in it.
func (m *candidate) open(ctx context.Context) {
	if m.meta, m.err = m.row.Structure(); m.err != nil {
		return
	}
	m.content, m.err = m.q.c.srv.config.Mailboxes.OpenBody(ctx, m.q.c.p, m.row.Account, m.row.File)
	if m.err == nil {
		m.header, m.err = mime.Header(m.content, m.meta, m.meta.Root)
	}
	if fault.Is(m.err, fault.Gone) {
		m.q.c.srv.config.Metrics.ContentMissing()
	}
}

func (m *candidate) close() {
	if m.content != nil {
		m.content.Close()
	}
}

// fatal is an error that would meet every other message as well.
func (m *candidate) fatal() error {
	if fault.Is(m.err, fault.Unavailable) || ctxOver(m.err) {
		return m.err
	}
	return nil
}

// shown takes the rendered ENVELOPE apart, once.
func (m *candidate) shown() *envelopeText {
	if m.envelope != nil {
		return m.envelope
	}
	list, err := mailbox.ParseList(m.row.List)
	rendered := list.Envelope
	if err != nil && m.row.Meta != nil {
		if meta, err := m.row.Structure(); err == nil {
			rendered = mime.AppendEnvelope(nil, meta.Envelope)
		}
	}
	m.envelope = splitEnvelope(rendered)
	return m.envelope
}

func (m *candidate) envelopeHas(place int, needle string) bool {
	return strings.Contains(m.q.folder.fold(m.shown().text(place)), needle)
}

// sentDay is the day of the Date field at 00:00 UTC.
func (m *candidate) sentDay() (time.Time, bool) {
	t, known := (&mime.Envelope{Date: m.shown().text(placeDate)}).Time()
	if !known {
		return time.Time{}, false
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC), true
}

// headerHas looks into one field of the header, or into all with their names when name is empty.
func (m *candidate) headerHas(name, needle string) bool {
	for _, f := range m.header {
		switch {
		case name == "":
			if strings.Contains(m.q.folder.fold(f.Name+": "+mime.DecodeHeader(f.Value())), needle) {
				return true
			}
		case strings.EqualFold(f.Name, name):
			if strings.Contains(m.q.folder.fold(mime.DecodeHeader(f.Value())), needle) {
				return true
			}
		}
	}
	return false
}

func (m *candidate) textHas(needle string) bool {
	if m.text == nil {
		text := ""
		if m.content != nil && m.err == nil {
			text, m.err = mime.Text(m.content, m.meta, maxSearchText)
		}
		text = m.q.folder.fold(text)
		m.text = &text
	}
	return m.err == nil && strings.Contains(*m.text, needle)
}

// folder makes text comparable without case: full case folding and NFKC. One belongs to one search.
type folder struct {
	caser cases.Caser
	made  bool
}

func (f *folder) fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			if !f.made {
				f.caser, f.made = cases.Fold(), true
			}
			return norm.NFKC.String(f.caser.String(norm.NFKC.String(s)))
		}
	}
	return strings.ToLower(s)
}

package outbound

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// What a report holds of the original (O-25), in octets, and how much it says.
const (
	maxReturned       = 50 << 10  // a larger message is returned as its header only
	maxReturnedHeader = 256 << 10 // of the header
	maxTold           = 100       // recipients in the text for people; the part for programs has them all
	maxReplyOctets    = 1000      // of one reply
	maxReplyLines     = 20
	maxReportLine     = 998 // RFC 5322 §2.1.1
	reportColumns     = 76
)

// reportInput is what a delivery status notification is made of. Every string may come from a hostile server.
type reportInput struct {
	ReportingMTA string       // our host name
	To           mail.Address // the envelope sender of the original; never the null sender
	MessageID    string       // of the report, with or without angle brackets
	Date         time.Time
	Arrival      time.Time   // when the original was accepted
	Original     io.ReaderAt // nil returns nothing of it
	OriginalSize int64
	Recipients   []reportedRecipient // at least one
}

// reportedRecipient is the fate of one recipient.
type reportedRecipient struct {
	Address        mail.Address
	Action         string // "failed" or "delayed"
	Status         string // RFC 3463: "5.1.1"
	RemoteMTA      string // name or address of the other server, "" when there was none
	Diagnostic     string // its whole reply, or our own words
	LastAttempt    time.Time
	WillRetryUntil time.Time // delayed only
}

const (
	actionFailed  = "failed"
	actionDelayed = "delayed"
)

// reportPart is one part of the report.
type reportPart struct {
	fields  []string // of its header
	content []byte
	eight   bool // holds octets above 127
}

// writeReport writes a delivery status notification (RFC 3464 in RFC 6522): words for people, fields for programs, and the
// original or its header. Lines end in CRLF and have at most 998 octets; all but a returned 8-bit message is ASCII. What
// cannot be reported is an error before anything is written; later errors are those of w.
func writeReport(w io.Writer, in reportInput) error {
	if err := in.check(); err != nil {
		return fmt.Errorf("write a report: %w", err)
	}
	parts := []reportPart{in.wordsPart(), in.statusPart()}
	if in.Original != nil {
		returned, err := in.returned()
		if err != nil {
			return fmt.Errorf("write a report: read the original: %w", err)
		}
		parts = append(parts, returned)
	}
	boundary := in.boundary(parts)
	var b bytes.Buffer
	for _, line := range in.header(boundary, parts[len(parts)-1].eight) {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\nThis is a report about the delivery of a message, in MIME format.\r\n")
	for _, part := range parts {
		b.WriteString("\r\n--" + boundary + "\r\n")
		for _, line := range part.fields {
			b.WriteString(line + "\r\n")
		}
		b.WriteString("\r\n")
		b.Write(part.content)
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write a report: %w", err)
	}
	return nil
}

func (in *reportInput) check() error {
	if to := in.To.String(); to == "" || len(to) > mail.MaxPath { // the null sender gets none (RFC 5321 §6.1)
		return fmt.Errorf("sender of %d octets", len(to))
	}
	if host, err := mail.ParseDomain(in.ReportingMTA); err != nil || printable(host, true) != host {
		return fmt.Errorf("host name %q", in.ReportingMTA)
	}
	if id := in.bareID(); id == "" || len(id) > 900 || printable(id, true) != id || strings.ContainsAny(id, " <>") {
		return fmt.Errorf("message id %q", in.MessageID)
	}
	if len(in.Recipients) == 0 {
		return errors.New("no recipient")
	}
	if in.Date.IsZero() || in.OriginalSize < 0 {
		return errors.New("no date, or a negative size")
	}
	for _, r := range in.Recipients {
		if r.Action != actionFailed && r.Action != actionDelayed {
			return fmt.Errorf("action %q", r.Action)
		}
	}
	return nil
}

func (in *reportInput) bareID() string {
	return strings.TrimSuffix(strings.TrimPrefix(in.MessageID, "<"), ">")
}

// header gives the fields of the report itself (O-26). An original in 8 bits makes the whole report one (RFC 2045 §6.4).
func (in *reportInput) header(boundary string, eight bool) []string {
	to := "<" + printable(in.To.String(), true) + ">"
	if !in.To.IsASCII() { // cannot be written without SMTPUTF8; the envelope knows
		to = "undisclosed-recipients:;"
	}
	lines := []string{
		"From: Mail Delivery System <MAILER-DAEMON@" + in.ReportingMTA + ">",
		"To: " + to,
		"Subject: " + in.subject(),
		"Date: " + reportDate(in.Date),
		"Message-ID: <" + in.bareID() + ">",
		"Auto-Submitted: auto-replied",
		"MIME-Version: 1.0",
		"Content-Type: multipart/report; report-type=delivery-status;",
		"\tboundary=\"" + boundary + "\"",
	}
	if eight {
		lines = append(lines, "Content-Transfer-Encoding: 8bit")
	}
	return lines
}

func (in *reportInput) subject() string {
	failed := 0
	for _, r := range in.Recipients {
		if r.Action == actionFailed {
			failed++
		}
	}
	switch {
	case failed == 0:
		return "Your message is delayed"
	case failed < len(in.Recipients):
		return "Your message is delayed or could not be delivered"
	}
	return "Your message could not be delivered"
}

// boundary gives a boundary that is in none of the parts.
func (in *reportInput) boundary(parts []reportPart) string {
	for n := 0; ; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", in.MessageID, n))
		boundary := "=_report_" + hex.EncodeToString(sum[:16])
		free := true
		for _, part := range parts {
			free = free && !bytes.Contains(part.content, []byte(boundary))
		}
		if free {
			return boundary
		}
	}
}

// statusPart is the part for programs (RFC 3464 §2): a group of fields about the message and one for each recipient.
func (in *reportInput) statusPart() reportPart {
	var b strings.Builder
	writeStatusField(&b, "Reporting-MTA", "dns; "+in.ReportingMTA)
	if !in.Arrival.IsZero() {
		writeStatusField(&b, "Arrival-Date", reportDate(in.Arrival))
	}
	for _, r := range in.Recipients {
		b.WriteString("\r\n")
		r.fields(&b)
	}
	return reportPart{fields: []string{"Content-Description: Delivery report", "Content-Type: message/delivery-status"}, content: []byte(b.String())}
}

// fields writes the group of one recipient (RFC 3464 §2.3).
func (r *reportedRecipient) fields(b *strings.Builder) {
	recipient := "rfc822; " + r.Address.String()
	if !r.Address.IsASCII() {
		recipient = "utf-8; " + addressXtext(r.Address.String())
	}
	writeStatusField(b, "Final-Recipient", recipient)
	writeStatusField(b, "Action", r.Action)
	writeStatusField(b, "Status", r.status())
	if mta := strings.ReplaceAll(printable(r.RemoteMTA, true), " ", ""); mta != "" {
		if ip, err := netip.ParseAddr(mta); err == nil {
			mta = "[" + ip.String() + "]"
		}
		writeStatusField(b, "Remote-MTA", "dns; "+mta)
	}
	if text := printable(r.Diagnostic, true); text != "" {
		kind := "x-mailserver; " // our own words are no SMTP reply
		if r.RemoteMTA != "" && isReply(text) {
			kind = "smtp; "
		}
		writeStatusField(b, "Diagnostic-Code", kind+text)
	}
	if !r.LastAttempt.IsZero() {
		writeStatusField(b, "Last-Attempt-Date", reportDate(r.LastAttempt))
	}
	if r.Action == actionDelayed && !r.WillRetryUntil.IsZero() {
		writeStatusField(b, "Will-Retry-Until", reportDate(r.WillRetryUntil))
	}
}

// status is the status code, or the vaguest one that fits the action when there is none that can be written (RFC 3463 §2). A
// permanent answer to which we try again anyway is told as a temporary one.
func (r *reportedRecipient) status() string {
	class, rest, ok := strings.Cut(r.Status, ".")
	subject, detail, more := strings.Cut(rest, ".")
	if !ok || !more || class != "4" && class != "5" || !isNumber(subject) || !isNumber(detail) {
		class, subject, detail = "5", "0", "0"
	}
	if r.Action == actionDelayed {
		class = "4"
	}
	return class + "." + subject + "." + detail
}

func isNumber(s string) bool { return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == "" }

// isReply reports whether text begins like an SMTP reply.
func isReply(text string) bool {
	return len(text) >= 3 && isNumber(text[:3]) && text[0] >= '2' && text[0] <= '5' && (len(text) == 3 || text[3] == ' ' || text[3] == '-')
}

// addressXtext writes an address in the ASCII form of RFC 6533 §3 (utf-8-addr-xtext).
func addressXtext(address string) string {
	var b strings.Builder
	for _, r := range address {
		if r > ' ' && r < 0x7f && r != '\\' && r != '+' && r != '=' {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\x{%02X}`, r)
	}
	return b.String()
}

// writeStatusField writes a field in ASCII, folded between words.
func writeStatusField(b *strings.Builder, name, value string) {
	b.WriteString(name + ":")
	column := len(name) + 1
	for _, word := range reportWords(printable(value, true)) {
		if column+1+len(word) > reportColumns && column > len(name)+1 {
			b.WriteString("\r\n")
			column = 0
		}
		b.WriteString(" " + word)
		column += 1 + len(word)
	}
	b.WriteString("\r\n")
}

// returned is the original when it is small and may be sent as it is, else its header.
func (in *reportInput) returned() (reportPart, error) {
	if in.OriginalSize <= maxReturned {
		whole, err := in.head(in.OriginalSize)
		if err != nil {
			return reportPart{}, err
		}
		text := toCRLF(whole)
		if sound, eight := transportable(text); sound {
			part := reportPart{fields: []string{"Content-Description: Your message", "Content-Type: message/rfc822"}, content: text, eight: eight}
			if eight { // nothing but 7bit, 8bit and binary may stand here (RFC 2046 §5.2.1)
				part.fields = append(part.fields, "Content-Transfer-Encoding: 8bit")
			}
			return part, nil
		}
	}
	head, err := in.head(min(in.OriginalSize, maxReturnedHeader))
	if err != nil {
		return reportPart{}, err
	}
	return headerPart(headerBlock(head)), nil
}

func (in *reportInput) head(size int64) ([]byte, error) {
	text := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(in.Original, 0, size), text); err != nil {
		return nil, err
	}
	return text, nil
}

// headerBlock gives the header at the beginning of a message with CRLF line ends, without the blank line; of one that does
// not end here all whole lines.
func headerBlock(text []byte) []byte {
	text = toCRLF(text)
	if bytes.HasPrefix(text, []byte("\r\n")) {
		return nil
	}
	if end := bytes.Index(text, []byte("\r\n\r\n")); end >= 0 {
		return text[:end+2]
	}
	if end := bytes.LastIndex(text, []byte("\r\n")); end >= 0 {
		return text[:end+2]
	}
	return text
}

// headerPart is a part with a header; what is no 7-bit text is encoded (RFC 6522 §4).
func headerPart(block []byte) reportPart {
	fields := []string{"Content-Description: Header of your message"}
	if sound, eight := transportable(block); sound && !eight {
		return reportPart{fields: append(fields, "Content-Type: text/rfc822-headers"), content: block}
	}
	media := "Content-Type: text/rfc822-headers"
	if utf8.Valid(block) {
		media += "; charset=utf-8"
	}
	return reportPart{fields: append(fields, media, "Content-Transfer-Encoding: quoted-printable"), content: quotePrintable(block)}
}

func quotePrintable(text []byte) []byte {
	var b bytes.Buffer
	enc := quotedprintable.NewWriter(&b)
	_, _ = enc.Write(text) // a buffer takes everything
	_ = enc.Close()
	return b.Bytes()
}

// toCRLF makes each line end, CR and LF alone included, a CRLF (S-1: nothing we send has a bare one).
func toCRLF(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/50)
	for i, c := range text {
		switch {
		case c == '\r':
			out = append(out, "\r\n"...)
		case c == '\n' && i > 0 && text[i-1] == '\r':
		case c == '\n':
			out = append(out, "\r\n"...)
		default:
			out = append(out, c)
		}
	}
	return out
}

// transportable reports whether text may travel in 7 or 8 bits (RFC 2045 §2.7, §2.8), and whether it needs the eighth.
func transportable(text []byte) (sound, eight bool) {
	column := 0
	for _, c := range text {
		column++
		switch {
		case c == 0:
			return false, false
		case c == '\n':
			column = 0
		case column > maxReportLine && c != '\r':
			return false, false
		case c >= 0x80:
			eight = true
		}
	}
	return true, eight
}

func reportDate(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700") }

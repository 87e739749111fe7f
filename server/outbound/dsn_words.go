package outbound

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordsPart is the part for people: what happened to whom, what the other server said, what to do.
func (in *reportInput) wordsPart() reportPart {
	var b strings.Builder
	b.WriteString("This is the mail system at " + in.ReportingMTA + ".\n\n")
	opening := in.subject()
	if n := len(in.Recipients); n > 1 {
		opening += fmt.Sprintf(" (%d recipients)", n)
	}
	b.WriteString(opening + ".\n")
	if !in.Arrival.IsZero() {
		b.WriteString("It was accepted here on " + reportDate(in.Arrival) + ".\n")
	}
	for i, r := range in.Recipients {
		if i == maxTold {
			fmt.Fprintf(&b, "\nThe delivery report in this message names %d more.\n", len(in.Recipients)-i)
			break
		}
		r.words(&b)
	}
	if in.Original != nil {
		b.WriteString("\nYour message, or its header when it was large, comes with this one.\n")
	}
	text := []byte(strings.ReplaceAll(b.String(), "\n", "\r\n"))
	fields := []string{"Content-Description: What happened", "Content-Type: text/plain; charset=utf-8"}
	if _, eight := transportable(text); eight {
		return reportPart{fields: append(fields, "Content-Transfer-Encoding: quoted-printable"), content: quotePrintable(text)}
	}
	return reportPart{fields: fields, content: text}
}

func (r *reportedRecipient) words(b *strings.Builder) {
	b.WriteByte('\n')
	writeWrapped(b, "", printable(r.Address.String(), false))
	if r.Action == actionDelayed {
		b.WriteString("  Not delivered yet.\n")
	} else {
		b.WriteString("  Not delivered; it will not be tried again.\n")
	}
	if lines := replyLines(r.Diagnostic); len(lines) > 0 {
		who := "What happened"
		if mta := printable(r.RemoteMTA, false); mta != "" {
			who = "The server " + clipped(mta, 255) + " said"
		}
		writeWrapped(b, "  ", who+":")
		for _, line := range lines {
			writeWrapped(b, "    ", line)
		}
	}
	if !r.LastAttempt.IsZero() {
		b.WriteString("  Last attempt: " + reportDate(r.LastAttempt) + "\n")
	}
	writeWrapped(b, "  ", "What to do: "+r.advice())
}

// replyLines gives the lines of a reply as they may be shown.
func replyLines(reply string) []string {
	var lines []string
	for line := range strings.FieldsFuncSeq(clipped(reply, maxReplyOctets), func(c rune) bool { return c == '\r' || c == '\n' }) {
		if line = printable(line, false); line != "" && len(lines) < maxReplyLines {
			lines = append(lines, line)
		}
	}
	return lines
}

// advice says what the sender can do, by the status code (RFC 3463 §3).
func (r *reportedRecipient) advice() string {
	if r.Action == actionDelayed {
		if r.WillRetryUntil.IsZero() {
			return "nothing. It will be tried again, and you will be told if that fails."
		}
		return "nothing. It will be tried again until " + reportDate(r.WillRetryUntil) + ", and you will be told if that fails."
	}
	_, detail, _ := strings.Cut(r.status(), ".")
	for _, known := range [...]struct{ prefix, words string }{
		{"1.8.", "pass this report to your mail administrator: the other server does not like the sender's address."},
		{"1.7.", "pass this report to your mail administrator: the other server does not like the sender's address."},
		{"1.", "check the address for a mistake. As it is written it does not exist, or takes no mail."},
		{"2.1.", "ask the person in another way: the mailbox is switched off or takes no mail from you."},
		{"2.2.", "send it again later, or ask the person in another way: the mailbox is full."},
		{"2.3.", "send a smaller message, or a link to the files: it is too large for this mailbox."},
		{"3.4.", "send a smaller message, or a link to the files: it is too large for the other server."},
		{"4.", "send it again later. If it fails again, the other server has been out of reach for a long time; tell the person in another way."},
		{"6.", "send it in a simpler form: the other server cannot take the content as it is."},
		{"7.", "pass this report to your mail administrator: the other server refuses the message by its rules, not because of the address."},
	} {
		if strings.HasPrefix(detail+".", known.prefix) {
			return known.words
		}
	}
	return "if the answer above does not help, pass this report to your mail administrator."
}

// printable makes one line of text that is safe in a header field and on a screen: controls and line ends become spaces, spaces
// are joined, and what cannot be shown (with ascii: all that is not ASCII) becomes "?". No more than maxReplyOctets.
func printable(s string, ascii bool) string {
	var b strings.Builder
	gap := false
	for _, r := range clipped(s, maxReplyOctets) {
		switch {
		case r <= ' ' || r == 0x7f || r == 0x85 || r == '\u2028' || r == '\u2029':
			gap = b.Len() > 0
			continue
		case r == utf8.RuneError || ascii && r > 0x7e || !unicode.IsPrint(r):
			r = '?'
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// clipped gives at most limit octets of s, whole characters.
func clipped(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for back := range utf8.UTFMax { // further back no character can have begun
		if utf8.RuneStart(s[limit-back]) {
			return s[:limit-back]
		}
	}
	return s[:limit]
}

// reportWords splits at spaces and cuts what is too long for a line.
func reportWords(text string) []string {
	const longest = 250
	var words []string
	for word := range strings.FieldsSeq(text) {
		for len(word) > longest {
			head := clipped(word, longest)
			words, word = append(words, head), word[len(head):]
		}
		words = append(words, word)
	}
	return words
}

// writeWrapped writes text in lines that begin with indent.
func writeWrapped(b *strings.Builder, indent, text string) {
	column := 0
	for _, word := range reportWords(text) {
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+len(word) > reportColumns:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	if column > 0 {
		b.WriteByte('\n')
	}
}

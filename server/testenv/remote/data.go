package remote

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// data answers DATA and takes the message.
func (s *session) data() error {
	t := s.mail
	if t == nil || len(t.to) == 0 {
		return s.answer(Reply{}, 503, "5.5.1 no recipient")
	}
	plan := t.plan()
	rule := s.ruled(StageData)
	if rule == (Reply{}) {
		rule = plan.Data
	}
	early := s.r.Buffered() > 0
	if rule.Code != 0 && rule.Code != 354 {
		s.mail = nil
		return s.answer(rule, rule.Code, "")
	}
	if early {
		s.record.fault("octets behind DATA before its reply")
	}
	if err := s.answer(rule, 354, "go on"); err != nil {
		return err
	}
	if plan.Cut > 0 {
		return s.cutOff(plan)
	}
	over, err := s.read()
	s.mail = nil
	if err != nil {
		return err
	}
	return s.dot(t, plan, over)
}

// plan joins the steps of the recipients: the first one with a Data, a Dot or a Cut decides, and one that loses is enough.
func (t *transaction) plan() Step {
	var plan Step
	lose := false
	for _, step := range t.steps {
		lose = lose || step.Lose
		if plan.Data == (Reply{}) && plan.Dot == (Reply{}) && plan.Cut == 0 {
			plan = step
		}
	}
	plan.Lose = lose
	return plan
}

// read takes the message into s.body, up to the final dot, and takes the dots away (RFC 5321 §4.5.2). over says that it was
// too large; then the rest was thrown away.
func (s *session) read() (over bool, err error) {
	s.body = s.body[:0]
	limit := s.limit()
	fresh, last := true, byte('\n') // at the start of a line; the octet before this piece
	for {
		if err := s.settle(); err != nil {
			return over, err
		}
		piece, err := s.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return over, err
		}
		if fresh && string(piece) == ".\r\n" {
			return over, nil
		}
		end := len(piece) - 1
		next := piece[end] == '\n' && (end > 0 && piece[end-1] == '\r' || end == 0 && last == '\r')
		last = piece[end]
		if fresh && piece[0] == '.' {
			piece = piece[1:]
		}
		over = over || int64(len(s.body)+len(piece)) > limit
		if !over {
			s.body = append(s.body, piece...)
		}
		fresh = next
	}
}

// cutOff ends the connection after the octets that the step lets through, or at the dot.
func (s *session) cutOff(plan Step) error {
	const dot = "\r\n.\r\n"
	tail := []byte("\r\n")
	for range plan.Cut {
		if s.r.Buffered() == 0 {
			if err := s.settle(); err != nil {
				return err
			}
		}
		octet, err := s.r.ReadByte()
		if err != nil {
			return err
		}
		if tail = append(tail, octet); bytes.HasSuffix(tail, []byte(dot)) {
			break
		}
		tail = tail[max(0, len(tail)-len(dot)):]
	}
	s.record.note("S: ", []byte("(cuts the message)"))
	if plan.CutReset {
		s.cut()
	}
	return errEnd
}

// dot decides about a message that is complete.
func (s *session) dot(t *transaction, plan Step, over bool) error {
	rule := s.ruled(StageDot)
	if rule == (Reply{}) {
		rule = plan.Dot
	}
	switch {
	case rule.Code != 0 && rule.Code/100 != 2:
		return s.answer(rule, rule.Code, "")
	case over:
		return s.answer(Reply{}, 552, "5.3.4 message too big")
	case s.mx.full(len(s.body)):
		return s.answer(Reply{}, 452, "4.3.1 no room left")
	}
	if !s.mx.cfg.Discard {
		s.inspect(t)
	}
	s.messages++
	if plan.Lose {
		return s.answer(rule, 250, "2.0.0 accepted")
	}
	number := s.record.info.Number // never changes
	sum := sha256.Sum256(s.body)
	err := s.mx.accept(Delivery{
		From: t.from, To: t.to, Attempts: t.attempts, Params: t.params, ID: headerValue(s.body, s.mx.cfg.IDHeader),
		Sum: hex.EncodeToString(sum[:]), TLS: s.version, User: s.user, Session: number, Index: s.messages, At: time.Now().UTC(),
		ReplyLost: rule.Form == FormSilent,
	}, s.body)
	if err != nil {
		s.messages--
		return s.answer(Reply{}, 451, "4.3.0 the ledger cannot be written")
	}
	s.record.set(func(i *Session) { i.Messages = s.messages })
	return s.answer(rule, 250, "2.0.0 accepted")
}

// inspect notes what is wrong with the octets of a message.
func (s *session) inspect(t *transaction) {
	eight := false
	for line := range bytes.Lines(s.body) {
		text, crlf := bytes.CutSuffix(line, []byte("\r\n"))
		switch {
		case !crlf && bytes.HasSuffix(line, []byte("\n")):
			s.record.fault("bare LF in a message")
		case bytes.IndexByte(text, '\r') >= 0:
			s.record.fault("bare CR in a message")
		}
		if len(text) > 998 {
			s.record.fault("line of more than 998 octets in a message")
		}
		eight = eight || bytes.IndexFunc(text, func(r rune) bool { return r > 127 }) >= 0
	}
	if eight && !strings.Contains(strings.ToUpper(t.params), "BODY=8BITMIME") {
		s.record.fault("8-bit message without BODY=8BITMIME")
	}
}

// headerValue gives the value of the first field of that name, unfolded, at most 1,000 octets of it; "" when there is none.
func headerValue(message []byte, name string) string {
	var value []byte
	found := false
	for line := range bytes.Lines(message) {
		text := bytes.TrimRight(line, "\r\n")
		switch {
		case len(text) == 0:
			return string(value)
		case found && (text[0] == ' ' || text[0] == '\t'):
			value = append(value, text...)
		case found:
			return string(value)
		case len(text) > len(name) && text[len(name)] == ':' && strings.EqualFold(string(text[:len(name)]), name):
			found, value = true, bytes.TrimSpace(text[len(name)+1:])
		}
		if len(value) > 1000 {
			return string(value[:1000])
		}
	}
	return string(value)
}

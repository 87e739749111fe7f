package smtpout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/mailserver-dev/mailserver/server/mail"
)

const pieceSize = 16 << 10

var (
	errSize   = errors.New("the letter has another size than it should")
	errNoOpen = errors.New("the letter has no Open")
)

// delivery is one letter on its way: the results so far and the recipients without one.
type delivery struct {
	letter  Letter
	results []Result
	open    []int
}

func newDelivery(l Letter) *delivery {
	d := &delivery{letter: l, results: make([]Result, len(l.To))}
	for i := range l.To {
		d.open = append(d.open, i)
	}
	return d
}

// settle gives open recipients their result.
func (d *delivery) settle(r Result, recipients ...int) {
	for _, i := range recipients {
		d.results[i] = r
	}
	d.refresh()
}

// refresh finds the recipients without a result. The slice is new: callers may hold the old one.
func (d *delivery) refresh() {
	var open []int
	for _, i := range d.open {
		if d.results[i].Outcome == 0 {
			open = append(open, i)
		}
	}
	d.open = open
}

// refuseUnsayable refuses what no command can say: addresses that are not ASCII, since SMTPUTF8 (RFC 6531) is not spoken, and
// those that would be more than an address.
func (d *delivery) refuseUnsayable() {
	bad := own(Refused, 553, "5.6.7", ClassMessage, nil, "an address that is not ASCII cannot be sent")
	if !sayable(d.letter.From) && !d.letter.From.IsNull() {
		d.settle(bad, d.open...)
		return
	}
	for i, to := range d.letter.To {
		if !sayable(to) {
			d.settle(bad, i)
		}
	}
}

func sayable(a mail.Address) bool {
	for _, c := range []byte(a.Local + a.Domain) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return a.Local != "" && a.Domain != ""
}

// transact carries the letter to the open recipients: in one transaction, and in further ones while the remote takes some of
// them and says that there are too many (RFC 5321 §4.5.3.1.10). Nil means that every recipient has a result.
func (s *session) transact(outer, ctx context.Context, d *delivery) *failure {
	release := s.wire.hold(outer, ctx)
	defer func() {
		if !release() {
			s.broken = true
		}
	}()
	if r, ok := s.unfit(d.letter); ok {
		d.settle(r, d.open...)
		return nil
	}
	for len(d.open) > 0 {
		s.served++
		late, f := s.once(ctx, d)
		s.used = s.client.clk.Now()
		if f != nil {
			return s.named(f)
		}
		if late == nil {
			continue
		}
		// Nobody else was taken: the rest waits for the next attempt.
		for i, r := range late {
			d.settle(r, i)
		}
	}
	return nil
}

// unfit says why a letter cannot go to this remote at all.
func (s *session) unfit(l Letter) (Result, bool) {
	var r Result
	switch {
	case s.ext.size > 0 && l.Size > s.ext.size:
		r = own(Refused, 552, "5.3.4", ClassMessage, nil, "the message of %d octets is larger than the %d that %s takes", l.Size, s.ext.size, s.target.host.name)
	case l.EightBit && !s.ext.eightBit:
		// RFC 6152 §3 leaves two ways: convert the message, which would break its signatures (O-53), or return it. What is
		// accepted here is 7-bit safe by default, so this is rare.
		r = own(Refused, 554, "5.6.3", ClassMessage, nil, "the message needs 8BITMIME, which %s does not offer", s.target.host.name)
	default:
		return r, false
	}
	s.name(&r)
	return r, true
}

// once runs one transaction. Late are recipients that the remote had no room for, when nobody was accepted or the letter was
// not taken; with room for some they stay open for another transaction.
func (s *session) once(ctx context.Context, d *delivery) (late map[int]Result, f *failure) {
	accepted, late, f := s.envelope(d)
	if f != nil || len(accepted) == 0 {
		return late, f
	}
	r, f := s.message(ctx, d)
	if f != nil {
		// Those the remote has no room for are as open as those it accepted.
		return nil, f
	}
	s.name(&r)
	d.settle(r, accepted...)
	if r.Outcome == Delivered {
		return nil, nil
	}
	return late, nil
}

// envelope says MAIL and RCPT. It settles the recipients that are refused or deferred.
func (s *session) envelope(d *delivery) (accepted []int, late map[int]Result, f *failure) {
	rcpt := func(i int) string { return "RCPT TO:<" + d.letter.To[i].String() + ">" }
	group := []string{s.mailLine(d.letter)}
	if s.ext.pipelining { // RFC 2920
		for _, i := range d.open {
			group = append(group, rcpt(i))
		}
	}
	if f := s.begin(group); f != nil {
		return nil, nil, f
	}
	refusal, f := s.mailReply()
	if f != nil {
		return nil, nil, f
	}
	if refusal != nil {
		return nil, nil, s.decide(d, refusal)
	}
	late = map[int]Result{}
	for _, i := range d.open {
		if !s.ext.pipelining {
			if f := s.sendOr(stageRcpt, rcpt(i)); f != nil {
				return nil, nil, f
			}
		}
		r, f := s.rcptReply()
		switch {
		case f != nil:
			return nil, nil, f
		case r.Outcome == Delivered:
			accepted = append(accepted, i)
		case r.Rule == ruleCrowd:
			late[i] = r
		default:
			d.settle(r, i)
		}
	}
	return accepted, late, nil
}

// decide ends a transaction whose MAIL was refused: for the letter, or for the host when another one may do better. What the
// remote says to a RCPT that is on its way already means nothing, but must be read.
func (s *session) decide(d *delivery, refusal *failure) *failure {
	if refusal.next {
		s.broken = true
		return refusal
	}
	for range d.open {
		if !s.ext.pipelining || s.broken {
			break
		}
		if _, f := s.rcptReply(); f != nil {
			s.broken = true
		}
	}
	s.name(&refusal.Result)
	d.settle(refusal.Result, d.open...)
	return nil
}

// ruleCrowd is the rule of the rows for "too many recipients".
const ruleCrowd = "RFC5321"

func (s *session) mailLine(l Letter) string {
	line := "MAIL FROM:<" + l.From.String() + ">"
	if s.ext.hasSize && l.Size > 0 {
		line += " SIZE=" + strconv.FormatInt(l.Size, 10)
	}
	if l.EightBit {
		line += " BODY=8BITMIME"
	}
	return line
}

// begin sends the first commands of a transaction, behind RSET where one has been before. A connection kept from another
// letter may have died: that shows here, and is no failure of this letter.
func (s *session) begin(group []string) *failure {
	reset := s.dirty
	s.dirty = true
	if !reset {
		return s.stale(s.sendOr(stageMail, group...))
	}
	t := s.client.cfg.Timeouts
	patience, idle := t.Hello, s.client.clk.Now().Sub(s.used)
	if idle > maxIdle {
		patience = t.Probe
	}
	pipelined := s.ext.pipelining && idle <= maxIdle
	first := []string{"RSET"}
	if pipelined {
		first = append(first, group...)
	}
	if f := s.sendOr(stageMail, first...); f != nil {
		return s.stale(f)
	}
	rep, err := s.wire.hear(patience)
	if f := s.expect(stageMail, rep, err, 250); f != nil {
		// Also a 421 in the place of this reply: the remote had given the connection up before it heard of the letter.
		return s.stale(f)
	}
	if pipelined {
		return nil
	}
	return s.stale(s.sendOr(stageMail, group...))
}

// stale marks a failure that came before the reply to MAIL.
func (s *session) stale(f *failure) *failure {
	if f != nil {
		s.broken = true
		f.stale = true
	}
	return f
}

func (s *session) sendOr(at stage, lines ...string) *failure {
	if err := s.wire.send(lines...); err != nil {
		return s.lost(at, err)
	}
	return nil
}

// mailReply reads the reply to MAIL. A refusal with which the connection can go on is not yet a failure.
func (s *session) mailReply() (refusal, f *failure) {
	rep, err := s.wire.hear(s.client.cfg.Timeouts.Mail)
	f = s.expect(stageMail, rep, err, 2)
	switch {
	case f == nil:
		return nil, nil
	case err != nil:
		return nil, s.stale(f)
	case !f.spoke, s.broken:
		return nil, f
	}
	return f, nil
}

// rcptReply reads the reply to one RCPT.
func (s *session) rcptReply() (Result, *failure) {
	rep, err := s.wire.hear(s.client.cfg.Timeouts.Rcpt)
	f := s.expect(stageRcpt, rep, err, 2)
	if f == nil {
		return Result{Outcome: Delivered}, nil
	}
	if !f.spoke || rep.code == 421 {
		return Result{}, f
	}
	s.name(&f.Result)
	return f.Result, nil
}

// message says DATA and sends the letter. The result is for every accepted recipient.
func (s *session) message(ctx context.Context, d *delivery) (Result, *failure) {
	if d.letter.Open == nil {
		return Result{}, aborted(errNoOpen)
	}
	content, err := d.letter.Open(ctx)
	if err != nil {
		return Result{}, aborted(err)
	}
	defer content.Close()
	if err := d.proceed(); err != nil {
		s.broken = true
		return Result{}, aborted(err)
	}
	rep, err := s.wire.ask(s.client.cfg.Timeouts.Data, "DATA")
	if f := s.expect(stageData, rep, err, 354); f != nil {
		return f.Result, s.unlessAnswer(f, rep.code)
	}
	if f := s.body(d, content); f != nil {
		s.broken = true
		return f.Result, s.unlessAnswer(f, f.Code)
	}
	rep, err = s.wire.hear(s.client.cfg.Timeouts.Dot)
	s.wire.settled()
	f := s.expect(stageDot, rep, err, 2)
	if f == nil {
		status, text := rep.answer()
		if s.wire.quiet() != nil {
			s.broken = true
		}
		return Result{Outcome: Delivered, Code: rep.code, Enhanced: status, Text: text}, nil
	}
	if !f.spoke {
		f.MaybeDelivered, f.next = true, false
	}
	return f.Result, s.unlessAnswer(f, rep.code)
}

// unlessAnswer is nil when a failure is an answer about the letter.
func (s *session) unlessAnswer(f *failure, code int) *failure {
	if f.spoke && code != 421 {
		return nil
	}
	return f
}

func (d *delivery) proceed() error {
	if d.letter.Proceed == nil {
		return nil
	}
	return d.letter.Proceed()
}

// aborted is an end on our own side.
func aborted(err error) *failure {
	return stop(Aborted, 451, "4.3.0", ClassOther, err, "stopped on our side before the message was sent")
}

// body sends the content up to the final dot. After a failure the connection is closed by the caller, before the dot: the
// remote must throw away what it has (RFC 5321 §4.1.1.4).
func (s *session) body(d *delivery, content io.Reader) *failure {
	if s.buffer == nil {
		s.buffer = make([]byte, pieceSize)
	}
	out := &dots{w: s.wire.w}
	var size int64
	for {
		n, err := content.Read(s.buffer)
		size += int64(n)
		if d.letter.Size > 0 && size > d.letter.Size {
			return aborted(fmt.Errorf("%w: more than %d octets", errSize, d.letter.Size))
		}
		if _, err := out.Write(s.buffer[:n]); err != nil {
			return s.interrupted(err)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return aborted(err)
		}
	}
	if d.letter.Size > 0 && size != d.letter.Size {
		return aborted(fmt.Errorf("%w: %d octets instead of %d", errSize, size, d.letter.Size))
	}
	if err := out.end(); err != nil {
		return s.interrupted(err)
	}
	return s.dot(d)
}

// dot is the point of no return. All else is out before Proceed is asked, so that nothing but the dot lies between its
// answer and the remote.
func (s *session) dot(d *delivery) *failure {
	if err := s.wire.w.Flush(); err != nil {
		return s.interrupted(err)
	}
	if err := d.proceed(); err != nil {
		return aborted(err)
	}
	if err := s.wire.commit(); err != nil {
		return aborted(err)
	}
	err := s.wire.send(".")
	if err == nil {
		return nil
	}
	f := s.lost(stageDot, err)
	f.MaybeDelivered, f.next = true, false
	return f
}

// interrupted is the failure of sending the content. A remote that has had enough may have said so before it closed.
func (s *session) interrupted(err error) *failure {
	if errors.Is(err, errBareBreak) {
		f := stop(Refused, 554, "5.6.0", ClassMessage, err, "the message has a bare CR or LF and cannot be sent")
		f.spoke = true // this is final, whatever becomes of the connection
		return f
	}
	if rep, late := s.wire.hear(s.client.cfg.Timeouts.Probe); late == nil && rep.code >= 400 {
		return s.judge(stageDot, rep)
	}
	return s.lost(stageData, err)
}

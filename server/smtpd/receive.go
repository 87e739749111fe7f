package smtpd

import (
	"context"
	"io"
	"log/slog"

	"github.com/emersion/go-smtp"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Data implements smtp.Session for DATA and BDAT. The reader of the library is not used; it finds the end of data at once.
// The reply, also that of success, is an *smtp.SMTPError, which go-smtp prints as it is.
func (s *session) Data(io.Reader) error {
	tx, chunk := s.tx, s.chunk
	s.tx, s.chunk = nil, nil
	s.dot = true
	return s.receive(tx, chunk)
}

// receive takes the body of a transaction and hands it to the flow. Before anything of a DATA body is asked for, the flow says
// whether it could store one (D-6).
func (s *session) receive(tx *transaction, chunk *chunks) *smtp.SMTPError {
	if err := s.call(tx.ctx, tx.lane.ready); err != nil {
		if chunk != nil {
			s.skipChunk(chunk)
		}
		return s.refusal(stageData, err, tx)
	}
	s.wire.body(true)
	defer s.wire.body(false)
	b := &body{limit: s.limits().MessageBytes, clean: cleaner{strict: !s.entry.port.submission(), maxLine: s.limits().LineBytes}}
	if chunk != nil {
		b.src = chunk
	} else {
		b.src = &dots{w: s.wire}
		s.say("354 end with CR LF . CR LF")
	}
	receipt, err := s.store(tx, b)
	usable, finding := b.settle()
	if !usable {
		s.hang, s.unread = true, s.wire.open()
	}
	return s.outcome(tx, b, receipt, err, finding)
}

// store runs the flow. It has the time of a body and of one call; the deadlines of the wire end it earlier when the client is
// slow.
func (s *session) store(tx *transaction, b *body) (receipt string, err error) {
	ctx := tx.ctx
	if l := s.limits(); l.DataTotal > 0 && l.Call > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.DataTotal+l.Call)
		defer cancel()
	}
	err = s.guarded(ctx, func(ctx context.Context) error {
		receipt, err = tx.lane.store(ctx, tx.env, b)
		return err
	})
	return receipt, err
}

// outcome is the reply to a body. What reading found comes before what the flow says: a flow that stored less than the whole
// message has stored nothing.
func (s *session) outcome(tx *transaction, b *body, receipt string, err, finding error) *smtp.SMTPError {
	switch {
	case fault.CodeOf(finding) == codeAborted:
		s.mute = true
		s.log.InfoContext(tx.ctx, "smtp transaction aborted")
		return answerTo(stageData, finding, tx.id)
	case finding != nil:
		err = finding
	case err != nil && s.wire.stopping():
		err = lost(codeStopping, err)
	case err == nil && !b.whole:
		err = fault.Wrap(errUnread, fault.Internal, "", "message not read")
	}
	if err != nil {
		return s.refusal(stageData, err, tx)
	}
	s.counts.junk = 0
	s.log.InfoContext(tx.ctx, "smtp accepted", slog.String("receipt", receipt), slog.Int64("bytes", b.total),
		slog.String("from", tx.env.From.String()), slog.Int("recipients", len(tx.env.Recipients)))
	return &smtp.SMTPError{Code: 250, EnhancedCode: enhanced{2, 0, 0}, Message: cleanText(receipt) + " accepted"}
}

// moreChunks answers a chunk that has been read and waits for the next BDAT. Commands that give the message up are kept for
// later, when the flow is done with what it has: their reply must not overtake it (trap 6).
func (s *session) moreChunks() (size int64, last bool, err error) {
	s.say("250 2.0.0 chunk received")
	for !s.hang {
		cmd, ok := s.readCommand()
		if !ok {
			continue
		}
		switch cmd.verb {
		case "BDAT":
			if size, last, err = chunkSize(cmd.arg); err == nil {
				return size, last, nil
			}
			s.lostChunk()
		case "RSET", "QUIT", "EHLO", "HELO":
			s.pushed = &cmd
			return 0, false, fault.New(fault.Invalid, codeAborted, "given up by the client")
		case "NOOP":
			if !s.junk() {
				s.say("250 2.0.0 OK")
			}
		default:
			s.refuse(503, enhanced{5, 5, 1}, "BDAT or RSET expected")
		}
	}
	if s.wire.broken != nil {
		return 0, false, s.wire.broken
	}
	return 0, false, fault.New(fault.Invalid, codeAborted, "given up by the server") // which has said why
}

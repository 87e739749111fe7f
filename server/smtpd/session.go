package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// session is one connection: what has been said on it and who is on the other side. It implements smtp.Session and
// smtp.AuthSession. One goroutine uses it from beginning to end, because go-smtp never sees BDAT.
type session struct {
	srv    *Server
	entry  *entry
	wire   *wire
	id     string
	log    *slog.Logger
	remote netip.Addr
	opened time.Time
	ctx    context.Context //nolint:containedctx // one connection
	cancel context.CancelFunc
	gone   func() // counts the connection out

	helo  string // as the client said it, printable; empty before EHLO and after STARTTLS
	esmtp bool
	user  *mail.Principal
	tx    *transaction

	verb     string       // command that go-smtp is working on
	path     mail.Address // of MAIL or RCPT, read by us
	chunk    *chunks      // of the BDAT that begins a body; nil for DATA
	pushed   *command     // read during a body and still to be carried out
	sasl     bool         // the next line is a response, not a command
	dot      bool         // go-smtp is to be told that the data have ended
	mute     bool         // the reply to DATA is not for the client
	farewell string       // reply after which the connection ends
	hang     bool         // nothing is read any more
	unread   bool         // the client may still be sending
	closed   bool
	counts   counts
}

// counts are what a session is judged by (L-34 to L-36, I-10).
type counts struct{ commands, errors, junk, unknown, auth, transactions int }

// transaction is one MAIL and what belongs to it. Each MAIL makes a new one; Reset only forgets it, so that a body that is still
// being stored keeps its own.
type transaction struct {
	id   string
	ctx  context.Context //nolint:containedctx // one transaction
	lane lane
	env  mail.Envelope
}

func (s *session) limits() *Limits { return &s.srv.config.Limits }

// Reset implements smtp.Session: RSET, EHLO and the end of a transaction.
func (s *session) Reset() { s.tx = nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session. go-smtp's own reading of the address is not used: it loses quotes.
func (s *session) Mail(_ string, opts *smtp.MailOptions) error {
	from, refusal := s.canonical(stageMail, opts.UTF8)
	if refusal != nil {
		return refusal
	}
	tx := s.begin(from, opts)
	if err := s.call(tx.ctx, func(ctx context.Context) error { return tx.lane.sender(ctx, from) }); err != nil {
		return s.refusal(stageMail, err, tx)
	}
	s.tx = tx
	return nil
}

func (s *session) begin(from mail.Address, opts *smtp.MailOptions) *transaction {
	s.counts.transactions++
	tx := &transaction{id: fmt.Sprintf("%s-%d", s.id, s.counts.transactions)}
	tx.ctx = obs.WithRequestID(s.ctx, tx.id)
	tx.env = mail.Envelope{From: from, UTF8: opts.UTF8, Body8Bit: opts.Body == smtp.Body8BitMIME}
	peer := mail.Peer{
		Addr: s.remote, Helo: s.helo, TLS: s.tlsText(), ESMTP: s.esmtp, Session: s.id, At: s.wire.clk.Now(),
	}
	if !s.entry.port.submission() {
		tx.lane = arrivalLane{s.srv.config.Arrivals, peer}
		return tx
	}
	peer.User = s.user.User
	tx.lane = departureLane{s.srv.config.Departures, *s.user, peer}
	return tx
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	tx := s.tx
	to, refusal := s.canonical(stageRcpt, tx.env.UTF8)
	switch n := len(tx.env.Recipients); {
	case refusal != nil:
		return refusal
	case slices.Contains(tx.env.Recipients, to):
		return nil // named twice, delivered once
	case tx.env.From.IsNull() && n > 0: // I-35
		return s.refusal(stageRcpt, fault.New(fault.Limited, "too-many-recipients", "one recipient for null sender"), tx)
	case reached(n, s.maxRecipients()): // I-19
		return s.refusal(stageRcpt, fault.New(fault.Limited, "too-many-recipients", "too many recipients"), tx)
	}
	err := s.call(tx.ctx, func(ctx context.Context) error { return tx.lane.recipient(ctx, tx.env.From, to) })
	if err != nil {
		s.slowDictionary(err)
		return s.refusal(stageRcpt, err, tx)
	}
	tx.env.Recipients = append(tx.env.Recipients, to)
	return nil
}

// slowDictionary makes guessing addresses slow and then ends it (I-10).
func (s *session) slowDictionary(err error) {
	if !fault.Is(err, fault.NotFound) {
		return
	}
	s.counts.unknown++
	limit := s.limits().UnknownUsers
	if limit > 0 && s.counts.unknown > limit/2 {
		s.pause(s.limits().UnknownDelay)
	}
	if reached(s.counts.unknown, limit) {
		s.farewell = "421 4.7.0 too many unknown recipients, closing connection"
	}
}

func (s *session) maxRecipients() int {
	if s.entry.port.submission() {
		return s.limits().RecipientsSubmission
	}
	return s.limits().RecipientsInbound
}

// canonical checks the address of the command against SMTPUTF8 and turns its domain into A-labels (mail-rules S-47).
func (s *session) canonical(at stage, utf8 bool) (mail.Address, *smtp.SMTPError) {
	a := s.path
	if a.IsASCII() {
		return a, nil
	}
	if !utf8 {
		return a, answerTo(at, fault.New(fault.Invalid, "utf8-required", "address needs SMTPUTF8"), s.id)
	}
	name, err := dns.ToASCII(a.Domain)
	if err != nil || len(name) > mail.MaxDomain {
		return a, answerTo(at, fault.New(fault.Invalid, "", "domain is not a valid name"), s.id)
	}
	a.Domain = name
	return a, nil
}

// call asks a service: bounded in time, and a panic in it becomes an error that ends the connection (mail-rules S-49).
func (s *session) call(ctx context.Context, ask func(context.Context) error) error {
	if d := s.limits().Call; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	return s.guarded(ctx, ask)
}

func (s *session) guarded(ctx context.Context, ask func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(r)
		}
	}()
	return ask(ctx)
}

// panicked records a panic and ends the connection after the reply.
func (s *session) panicked(r any) error {
	s.farewell = "421 4.3.0 closing connection after an internal failure " + s.id
	s.srv.config.Metrics.MessageRejected(obs.ReasonUnavailable)
	s.log.ErrorContext(s.ctx, "smtp handler panicked", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
	return fault.New(fault.Internal, "panic", "panic: %v", r)
}

// refusal records why something was refused and gives the reply.
func (s *session) refusal(at stage, err error, tx *transaction) *smtp.SMTPError {
	s.srv.config.Metrics.MessageRejected(metricReason(err))
	answer := answerTo(at, err, tx.id)
	level := slog.LevelInfo
	switch kind := fault.KindOf(err); {
	case kind == fault.Internal:
		level = slog.LevelError
	case ownFault(kind) && !lastWord(err):
		level = slog.LevelWarn
	}
	s.log.Log(tx.ctx, level, "smtp refused",
		slog.String("verb", s.verb), slog.Int("reply", answer.Code), slog.String("reason", reasonOf(err)),
		slog.String("error", err.Error()), slog.String("from", tx.env.From.String()))
	return answer
}

// pause waits, unless the connection has to end. Replies before it are sent.
func (s *session) pause(d time.Duration) {
	if d <= 0 || s.wire.flush() != nil {
		return
	}
	s.srv.config.Clock.Sleep(s.ctx, d) //nolint:errcheck // ended early, it is no delay
}

// tlsText describes the encryption for trace fields: "TLS1.3 TLS_AES_128_GCM_SHA256".
func (s *session) tlsText() string {
	state, ok := s.wire.secure()
	if !ok {
		return ""
	}
	return strings.ReplaceAll(tls.VersionName(state.Version), " ", "") + " " + tls.CipherSuiteName(state.CipherSuite)
}

// printable makes the client's name for itself safe to show; it is never a reason to refuse (I-2).
func printable(s string) string {
	s = cleanText(s)
	return s[:min(len(s), mail.MaxDomain)]
}

var errUnread = errors.New("the flow accepted a message that it had not read to its end")

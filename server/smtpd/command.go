package smtpd

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// command is one line of a client.
type command struct{ verb, arg string }

func parseCommand(text string) command {
	verb, arg, _ := strings.Cut(text, " ")
	return command{strings.ToUpper(verb), strings.Trim(arg, " ")}
}

// next gives the next line for go-smtp, or false at the end of the connection. Most refusals are made here, before the library, whose
// own checks are looser and whose codes for a wrong order differ.
func (s *session) next() (text string, ok bool) {
	for !s.hang {
		if s.sasl {
			if text, ok = s.readLine(); ok {
				return text, true
			}
			continue
		}
		cmd, ok := s.readCommand()
		if !ok {
			continue
		}
		if text := s.screen(cmd); text != "" {
			s.verb, _, _ = strings.Cut(text, " ")
			return text, true
		}
	}
	return "", false
}

// readCommand gives the pushed-back command or the next one from the wire; what is not a command is answered and gives false.
func (s *session) readCommand() (command, bool) {
	if cmd := s.pushed; cmd != nil {
		s.pushed = nil
		return *cmd, true
	}
	text, ok := s.readLine()
	if !ok {
		return command{}, false
	}
	cmd := parseCommand(text)
	s.counts.commands++
	switch {
	case reached(s.counts.commands, s.limits().Commands):
		s.end("421 4.7.0 too many commands, closing connection")
	case len(text)+2 > maxLine && cmd.verb != "AUTH":
		s.refuse(500, enhanced{5, 5, 2}, "line too long")
	case strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		s.refuseUnreadable(cmd, "control character in command")
	default:
		return cmd, true
	}
	return command{}, false
}

// readLine reads one line and deals with what can go wrong with it.
func (s *session) readLine() (string, bool) {
	text, err := s.wire.readLine(s.lineDue())
	if err == nil {
		return text, true
	}
	if fault.Is(err, fault.Malformed) {
		s.refuse(500, enhanced{5, 5, 2}, fault.Public(err))
		s.hang = s.hang || s.sasl // go-smtp waits for a response that will not come
		return "", false
	}
	s.hang = true
	if s.wire.inBody {
		return "", false // between chunks: the reply to the message says it
	}
	switch fault.CodeOf(err) {
	case codeStopping:
		s.end("421 4.3.2 shutting down")
	case codeIdle:
		s.end("421 4.4.2 timeout")
	case codeSessionLife, codeFlood:
		s.unread = true
		s.end("421 4.7.0 " + fault.Public(err))
	}
	return "", false
}

// lineDue gives the moment until which a command line must be complete (L-36, L-40, L-41, S-13).
func (s *session) lineDue() (time.Time, string) {
	limits, now := s.limits(), s.wire.clk.Now()
	wait := limits.Command
	if limits.Stress > 0 && s.entry.guard.stressed() {
		wait = min(wait, limits.Stress)
	}
	at, why := time.Time{}, codeIdle
	if wait > 0 {
		at = now.Add(wait)
	}
	if limits.SessionLife > 0 {
		at, why = sooner(at, why, s.opened.Add(limits.SessionLife), codeSessionLife)
	}
	if limits.PreAuth > 0 && s.entry.port.submission() && s.user == nil {
		at, why = sooner(at, why, s.opened.Add(limits.PreAuth), codeIdle)
	}
	return at, why
}

// screen decides about a command: it gives the line that go-smtp shall work on, or answers itself and gives "".
func (s *session) screen(cmd command) string {
	switch cmd.verb {
	case "MAIL":
		return s.screenMail(cmd)
	case "RCPT":
		return s.screenRcpt(cmd)
	case "DATA":
		return s.screenData(cmd)
	case "BDAT":
		return s.screenBdat(cmd)
	case "QUIT":
		return "QUIT"
	case "AUTH":
		return s.screenAuth(cmd)
	case "STARTTLS":
		s.upgrade(cmd)
		return ""
	case "EHLO", "HELO":
		return s.screenHelo(cmd)
	}
	if s.junk() {
		return ""
	}
	switch cmd.verb {
	case "RSET", "NOOP":
		return cmd.verb
	case "VRFY": // I-54
		s.say("252 2.1.5 cannot verify, but will take mail for it and try")
	case "HELP":
		s.say("214 2.0.0 RFC 5321")
	case "EXPN":
		s.refuse(502, enhanced{5, 5, 1}, "not implemented")
	case "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "PRI":
		s.end("421 4.7.0 this is a mail server")
	default:
		s.refuse(500, enhanced{5, 5, 2}, "command not recognized")
	}
	return ""
}

// junk counts a command that leads to no mail and ends the session when there are too many (L-34, L-41).
func (s *session) junk() bool {
	s.counts.junk++
	limit := s.limits().JunkCommands
	if limit > 0 && s.entry.guard.stressed() {
		limit = 2
	}
	if !reached(s.counts.junk, limit) {
		return false
	}
	s.end("421 4.7.0 too many commands without mail, closing connection")
	return true
}

func (s *session) screenHelo(cmd command) string {
	if s.helo != "" && s.junk() {
		return ""
	}
	name, _, _ := strings.Cut(cmd.arg, " ")
	if name == "" {
		s.refuse(501, enhanced{5, 5, 2}, "a name is missing after "+cmd.verb)
		return ""
	}
	s.helo, s.esmtp = printable(name), cmd.verb == "EHLO"
	return cmd.verb + " " + s.helo
}

func (s *session) screenMail(cmd command) string {
	port := s.entry.port
	_, secure := s.wire.secure()
	switch {
	case s.helo == "":
		s.refuse(503, enhanced{5, 5, 1}, "say EHLO first")
		return ""
	case port.submission() && !secure:
		s.refuse(530, enhanced{5, 7, 0}, "Must issue a STARTTLS command first")
		return ""
	case port.submission() && s.user == nil: // I-51
		s.refuse(530, enhanced{5, 7, 0}, "authentication required")
		return ""
	case s.tx != nil: // trap 2: the library would keep the recipients
		s.refuse(503, enhanced{5, 5, 1}, "a transaction is open; send RSET first")
		return ""
	case reached(s.counts.transactions, s.limits().SessionMessages):
		s.end("421 4.7.0 enough messages for one connection, reconnect")
		return ""
	}
	path, params, err := splitPath(cmd.arg, "FROM:")
	if err != nil {
		s.refuse(501, enhanced{5, 5, 4}, "syntax: MAIL FROM:<address> [parameters]")
		return ""
	}
	if limit := s.limits().MessageBytes; limit > 0 && declaredSize(params) > uint64(limit) { // I-17
		s.srv.config.Metrics.MessageRejected(obs.ReasonTooLarge)
		s.refuse(552, enhanced{5, 3, 4}, fault.Public(tooLarge(limit)))
		return ""
	}
	s.path = mail.Address{}
	if path != "" {
		if s.path, err = parsePath(path); err != nil {
			s.refuse(501, enhanced{5, 1, 7}, "not a valid address")
			return ""
		}
	}
	return strings.TrimSpace("MAIL FROM:<" + s.path.String() + "> " + params)
}

func (s *session) screenRcpt(cmd command) string {
	if s.tx == nil {
		s.refuse(503, enhanced{5, 5, 1}, "MAIL comes first")
		return ""
	}
	path, params, err := splitPath(cmd.arg, "TO:")
	if err != nil || path == "" {
		s.refuse(501, enhanced{5, 5, 4}, "syntax: RCPT TO:<address> [parameters]")
		return ""
	}
	if strings.EqualFold(path, "postmaster") && !s.entry.port.submission() { // RFC 5321 §4.5.1
		path += "@" + s.srv.config.Hostname
	}
	if s.path, err = parsePath(path); err != nil {
		s.refuseUnreadable(cmd, "not a valid address")
		return ""
	}
	return strings.TrimSpace("RCPT TO:<" + s.path.String() + "> " + params)
}

// refuseUnreadable refuses a command that cannot be read in one way. A recipient of which nobody can say whether it is here is
// on port 25 an attempt to relay (S-4).
func (s *session) refuseUnreadable(cmd command, text string) {
	switch {
	case cmd.verb == "RCPT" && s.tx != nil && !s.entry.port.submission():
		s.srv.config.Metrics.MessageRejected(obs.ReasonRelayDenied)
		s.refuse(550, enhanced{5, 7, 1}, text+", relaying denied")
	case cmd.verb == "RCPT":
		s.refuse(553, enhanced{5, 1, 3}, text)
	default:
		s.refuse(501, enhanced{5, 5, 2}, text)
	}
}

// ready reports whether a body may follow, and answers when not.
func (s *session) ready() bool {
	switch {
	case s.tx == nil:
		s.refuse(503, enhanced{5, 5, 1}, "MAIL comes first")
	case len(s.tx.env.Recipients) == 0:
		s.refuse(503, enhanced{5, 5, 1}, "no valid recipients")
	default:
		return true
	}
	return false
}

func (s *session) screenData(cmd command) string {
	if cmd.arg != "" {
		s.refuse(501, enhanced{5, 5, 4}, "DATA has no parameters")
		return ""
	}
	if !s.ready() {
		return ""
	}
	s.chunk = nil
	return "DATA"
}

// screenBdat begins a body that comes in chunks. The library hears "DATA"; see receive.
func (s *session) screenBdat(cmd command) string {
	size, last, err := chunkSize(cmd.arg)
	if err != nil {
		s.lostChunk()
		return ""
	}
	chunk := &chunks{w: s.wire, left: size, last: last, more: s.moreChunks}
	if s.ready() {
		s.chunk = chunk
		return "DATA"
	}
	s.skipChunk(chunk)
	return ""
}

// skipChunk reads past a chunk that was refused: it follows its command in any case (RFC 3030 §4.2).
func (s *session) skipChunk(chunk *chunks) {
	s.wire.body(true)
	defer s.wire.body(false)
	if err := chunk.skip(2*s.limits().MessageBytes + 1<<20); err != nil {
		s.log.InfoContext(s.ctx, "smtp chunk lost", slog.String("error", err.Error()))
		s.hang, s.unread = true, s.wire.open()
	}
}

// lostChunk ends a session in which nobody knows where a chunk ends.
func (s *session) lostChunk() {
	s.farewell = "421 4.7.0 cannot tell where the chunk ends, closing connection"
	s.unread = true
	s.refuse(501, enhanced{5, 5, 4}, "syntax: BDAT size [LAST]")
}

// upgrade answers STARTTLS (RFC 3207). Whatever was said before the handshake is forgotten.
func (s *session) upgrade(cmd command) {
	_, secure := s.wire.secure()
	switch {
	case cmd.arg != "":
		s.refuse(501, enhanced{5, 5, 4}, "STARTTLS has no parameters")
		return
	case secure:
		s.refuse(503, enhanced{5, 5, 1}, "TLS is active already")
		return
	case s.srv.config.TLS == nil:
		s.refuse(502, enhanced{5, 5, 1}, "TLS is not available")
		return
	}
	s.say("220 2.0.0 ready to start TLS")
	s.helo, s.tx = "", nil
	if err := s.wire.startTLS(s.ctx, s.srv.config.TLS); err != nil {
		s.log.InfoContext(s.ctx, "smtp TLS handshake failed", slog.String("error", err.Error()))
		s.hang = true
	}
}

// greeting is the reply to EHLO (RFC 5321 §4.1.1.1) in place of the library's, which cannot be told what to leave out.
func (s *session) greeting() {
	if !s.esmtp {
		s.say("250 " + s.srv.config.Hostname)
		return
	}
	limits := s.limits()
	lines := []string{s.srv.config.Hostname + " greets " + s.helo, "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8"}
	size := "SIZE"
	if limits.MessageBytes > 0 {
		size = fmt.Sprintf("SIZE %d", limits.MessageBytes)
	}
	lines = append(lines, size)
	if n := s.maxRecipients(); n > 0 {
		lines = append(lines, fmt.Sprintf("LIMITS RCPTMAX=%d", n)) // RFC 9422
	}
	_, secure := s.wire.secure()
	if !secure && s.srv.config.TLS != nil {
		lines = append(lines, "STARTTLS")
	}
	if secure && s.entry.port.submission() {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	for _, text := range lines[:len(lines)-1] {
		s.wire.put("250-" + text + "\r\n")
	}
	s.say("250 " + lines[len(lines)-1])
}

package remote

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// hello answers EHLO and HELO.
func (s *session) hello(verb, name string) error {
	if s.r.Buffered() > 0 {
		s.record.fault("commands behind %s, which must be the last of a group", verb) // RFC 2920 §3.1
	}
	stage, lines := StageHELO, []string{s.mx.cfg.Hostname}
	if verb == "EHLO" {
		stage, lines = StageEHLO, append(lines, s.extensions()...)
	}
	rule := s.ruled(stage)
	if rule.Code == 0 || rule.Code/100 == 2 {
		s.greeted, s.extended, s.mail = true, verb == "EHLO", nil
		s.record.set(func(i *Session) { i.Hello = name })
	}
	return s.answer(rule, 250, strings.Join(lines, "\n"))
}

func (s *session) extensions() []string {
	var all []string
	if !s.step.NoPipelining {
		all = append(all, "PIPELINING")
	}
	if !s.step.NoSize {
		all = append(all, "SIZE "+strconv.FormatInt(s.limit(), 10))
	}
	if !s.step.No8BitMIME {
		all = append(all, "8BITMIME")
	}
	all = append(all, "ENHANCEDSTATUSCODES")
	if s.version == "" && !s.mx.cfg.ImplicitTLS && s.step.TLS != TLSAbsent {
		all = append(all, "STARTTLS")
	}
	if s.mayAuthenticate() {
		all = append(all, "AUTH PLAIN LOGIN")
	}
	return append(all, s.step.Extensions...)
}

func (s *session) limit() int64 {
	if s.step.Size > 0 {
		return s.step.Size
	}
	return s.mx.cfg.MaxSize
}

// from answers MAIL.
func (s *session) from(rest string) error {
	path, params, ok := parsePath("FROM:", rest)
	rule := s.ruled(StageMail)
	switch {
	case rule != (Reply{}):
	case s.step.Messages > 0 && s.messages >= s.step.Messages:
		rule = Reply{Code: 421, Text: "4.3.2 enough messages on this connection"}
	case !s.greeted:
		rule = Reply{Code: 503, Text: "5.5.1 say EHLO first"}
	case len(s.mx.cfg.Users) > 0 && s.user == "":
		rule = Reply{Code: 530, Text: "5.7.0 authentication required"}
	case s.mail != nil:
		rule = Reply{Code: 503, Text: "5.5.1 there is a sender already"}
	case !ok:
		s.record.fault("MAIL that cannot be read: %.100q", rest)
		rule = Reply{Code: 501, Text: "5.5.4 MAIL FROM:<address>"}
	default:
		rule = s.checkParams(params)
	}
	if rule.Code == 0 || rule.Code/100 == 2 {
		s.mail = &transaction{from: path, params: params}
	}
	return s.answer(rule, 250, "2.1.0 sender ok")
}

// checkParams refuses what was not offered (RFC 5321 §4.1.1.11) and what is too large (RFC 1870 §6.1).
func (s *session) checkParams(params string) Reply {
	for param := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(strings.ToUpper(param), "=")
		var offered bool
		switch name {
		case "SIZE":
			offered = !s.step.NoSize
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > s.limit() {
				return Reply{Code: 552, Text: "5.3.4 message too big"}
			}
		case "BODY":
			offered = !s.step.No8BitMIME
		case "AUTH":
			offered = s.mayAuthenticate()
		default:
			offered = strings.Contains(strings.ToUpper(strings.Join(s.step.Extensions, " ")), name)
		}
		if !offered || !s.extended {
			s.record.fault("parameter %s of MAIL was not offered", name)
			return Reply{Code: 555, Text: "5.5.4 unknown parameter"}
		}
	}
	return Reply{}
}

// rcpt answers RCPT.
func (s *session) rcpt(rest string) error {
	path, _, ok := parsePath("TO:", rest)
	switch {
	case s.mail == nil:
		return s.answer(Reply{}, 503, "5.5.1 no sender")
	case !ok || path == "":
		s.record.fault("RCPT that cannot be read: %.100q", rest)
		return s.answer(Reply{}, 501, "5.5.4 RCPT TO:<address>")
	case len(s.mail.to) >= maxRecipients:
		return s.answer(Reply{}, 452, "4.5.3 too many recipients")
	}
	step, attempt := s.mx.recipient(path)
	rule := s.ruled(StageRcpt)
	if rule == (Reply{}) {
		rule = step.Rcpt
	}
	if rule.Code == 0 || rule.Code/100 == 2 {
		t := s.mail
		t.to, t.attempts, t.steps = append(t.to, path), append(t.attempts, attempt), append(t.steps, step)
	}
	return s.answer(rule, 250, "2.1.5 recipient ok")
}

// parsePath reads "FROM:<path> params" or "TO:<path> params".
func parsePath(keyword, text string) (path, params string, ok bool) {
	if len(text) < len(keyword) || !strings.EqualFold(text[:len(keyword)], keyword) {
		return "", "", false
	}
	text, ok = strings.CutPrefix(text[len(keyword):], "<")
	if !ok {
		return "", "", false
	}
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			rest := text[i+1:]
			return text[:i], strings.TrimSpace(rest), rest == "" || rest[0] == ' '
		}
	}
	return "", "", false
}

func (s *session) mayAuthenticate() bool {
	return len(s.mx.cfg.Users) > 0 && (s.version != "" || s.step.AuthInClear)
}

// authenticate answers AUTH PLAIN and AUTH LOGIN (RFC 4954).
func (s *session) authenticate(rest string) error {
	mechanism, initial, _ := strings.Cut(rest, " ")
	rule := s.ruled(StageAuth)
	switch {
	case s.version == "":
		s.record.fault("AUTH in clear")
	case s.user != "":
		return s.answer(Reply{}, 503, "5.5.1 already authenticated")
	}
	if rule != (Reply{}) && rule.Code != 0 && rule.Code/100 != 2 {
		return s.answer(rule, rule.Code, "")
	}
	if !s.mayAuthenticate() {
		return s.answer(Reply{}, 502, "5.5.1 AUTH is not offered")
	}
	user, password, err := s.secrets(strings.ToUpper(mechanism), initial)
	if err != nil {
		return err
	}
	if want, ok := s.mx.cfg.Users[user]; !ok || want != password {
		return s.answer(Reply{}, 535, "5.7.8 wrong user or password")
	}
	s.user = user
	s.record.set(func(i *Session) { i.User = user })
	return s.answer(rule, 235, "2.7.0 welcome")
}

// secrets gives what the client says, empty when it cannot be read.
func (s *session) secrets(mechanism, initial string) (user, password string, err error) {
	switch mechanism {
	case "PLAIN":
		if initial == "" {
			if initial, err = s.challenge(""); err != nil {
				return "", "", err
			}
		}
		if fields := strings.Split(decode64(initial), "\x00"); len(fields) == 3 {
			return fields[1], fields[2], nil
		}
	case "LOGIN":
		if initial == "" {
			if initial, err = s.challenge("VXNlcm5hbWU6"); err != nil {
				return "", "", err
			}
		}
		second, err := s.challenge("UGFzc3dvcmQ6")
		return decode64(initial), decode64(second), err
	}
	return "", "", nil
}

// challenge asks for the next line of an AUTH dialogue.
func (s *session) challenge(text string) (string, error) {
	if err := s.put(fmt.Appendf(nil, "334 %s\r\n", text)); err != nil {
		return "", err
	}
	line, err := s.line()
	s.record.note("C: ", []byte("***"))
	return string(line), err
}

func decode64(text string) string {
	if text == "=" {
		return ""
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(plain)
}

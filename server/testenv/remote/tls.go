package remote

import (
	"crypto/tls"
	"io"
	"strings"
	"time"
)

// startTLS answers STARTTLS and, after a 220, does what the mode says (RFC 3207).
func (s *session) startTLS() error {
	mode := s.step.TLS
	rule := s.ruled(StageStartTLS)
	switch {
	case rule.Code != 0 && rule.Code != 220:
		return s.answer(rule, rule.Code, "")
	case s.version != "" || s.mx.cfg.ImplicitTLS || mode == TLSAbsent:
		s.record.fault("STARTTLS where it was not offered")
		return s.answer(Reply{}, 502, "5.5.1 STARTTLS is not offered")
	case mode == TLSRefused:
		return s.answer(rule, 454, "4.7.0 no TLS at the moment")
	}
	if s.r.Buffered() > 0 {
		s.record.fault("octets in clear behind STARTTLS")
	}
	if mode == TLSInjected {
		// Whoever keeps these takes them for the answers to what it says under TLS (RFC 3207 §6).
		rule.Raw = "220 2.0.0 ready\r\n250-injected\r\n250 2.0.0 injected\r\n"
	}
	if err := s.answer(rule, 220, "2.0.0 ready"); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.handshake(); err != nil {
		return err
	}
	s.greeted, s.extended, s.mail = false, false, nil
	return nil
}

// handshake goes over to TLS, or does not, as the mode says.
func (s *session) handshake() error {
	switch mode := s.step.TLS; mode {
	case TLSReset, TLSClosed, TLSGarbage:
		return s.breakHandshake(mode)
	case TLSStalled:
		s.hang()
		return errEnd
	default:
		return s.upgrade(s.mx.creds[mode])
	}
}

// breakHandshake ends the connection when the first record has come.
func (s *session) breakHandshake(mode TLSMode) error {
	_ = s.conn.SetReadDeadline(time.Now().Add(s.mx.cfg.Idle))
	hello := make([]byte, 5)
	if _, err := io.ReadFull(s.r, hello); err != nil {
		return err
	}
	// The rest of the ClientHello is read too: to close before it would be a reset.
	_, _ = io.CopyN(io.Discard, s.r, int64(hello[3])<<8|int64(hello[4]))
	switch mode {
	case TLSReset:
		s.cut()
	case TLSGarbage:
		_, _ = s.conn.Write([]byte("250 this is no TLS\r\n" + strings.Repeat("\xff\x00garbage", 100)))
	default:
	}
	return errEnd
}

func (s *session) upgrade(config *tls.Config) error {
	if config == nil { // TLSRefused on an ImplicitTLS server
		return errEnd
	}
	conn := tls.Server(s.conn, config)
	_ = s.conn.SetDeadline(time.Now().Add(s.mx.cfg.Idle))
	if err := conn.Handshake(); err != nil {
		s.record.note("S: ", []byte("(handshake failed: "+err.Error()+")"))
		return err
	}
	_ = s.conn.SetDeadline(time.Time{})
	state := conn.ConnectionState()
	s.version = strings.ReplaceAll(tls.VersionName(state.Version), " ", "")
	s.use(conn)
	s.record.set(func(i *Session) { i.TLS, i.ServerName = s.version, state.ServerName })
	s.record.note("S: ", []byte("("+s.version+")"))
	return nil
}

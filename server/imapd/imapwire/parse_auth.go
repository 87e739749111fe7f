package imapwire

import (
	"bytes"
	"encoding/base64"

	"github.com/emersion/go-imap/v2"
)

// DecodeBase64 decodes an AUTHENTICATE continuation line.
func DecodeBase64(line []byte) ([]byte, bool) {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(out, line)
	if err != nil || bytes.ContainsAny(line, "\r\n") {
		return nil, false
	}
	return out[:n], true
}

// parseID reads ID (RFC 2971 §3.1).
func parseID(p *parser) any {
	p.sp()
	if p.peek() != '(' {
		if _, isNil := p.nstring(); !isNil {
			p.bad("List or NIL is missing")
		}
		return &ID{}
	}
	id := &ID{}
	p.list(func() {
		key := p.string()
		p.sp()
		value, isNil := p.nstring()
		if len(id.Fields) == maxIDFields || len(key) > maxIDKey || len(value) > maxIDValue {
			p.fail(tooMuch("ID is too large"))
			return
		}
		id.Fields = append(id.Fields, IDField{Key: key, Value: value, Null: isNil})
	})
	return id
}

// parseAuthenticate reads AUTHENTICATE with the initial response of SASL-IR, where "=" is an empty one (RFC 4959 §3).
func parseAuthenticate(p *parser) any {
	p.sp()
	a := &Authenticate{Mechanism: p.word()}
	if !p.accept(' ') || p.pos == len(p.b) {
		return a
	}
	a.HasInitial = true
	if p.accept('=') {
		return a
	}
	line := p.take(func(c byte) bool { return c != ' ' })
	if len(line) > MaxAuthLine {
		p.fail(tooMuch("Initial response is too long"))
		return a
	}
	var ok bool
	if a.Initial, ok = DecodeBase64(line); !ok {
		p.bad("Initial response is not valid base64")
	}
	return a
}

func parseLogin(p *parser) any {
	p.sp()
	login := &Login{User: p.astring()}
	p.sp()
	login.Password = p.astring()
	return login
}

func parseEnable(p *parser) any {
	p.sp()
	enable := &Enable{Caps: []imap.Cap{imap.Cap(p.word())}}
	for p.accept(' ') && p.pos < len(p.b) {
		enable.Caps = append(enable.Caps, imap.Cap(p.word()))
	}
	return enable
}

func parseQuotaRoot(p *parser) any {
	p.sp()
	return &QuotaRoot{Root: p.astring()}
}

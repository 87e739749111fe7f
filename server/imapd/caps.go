package imapd

import (
	"context"
	"slices"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// caps lists what the session may use now (RFC 9051 §6.1.1). What is listed is complete.
func (c *conn) caps() []imap.Cap {
	list := []imap.Cap{imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapSASLIR, imap.CapLiteralPlus, imap.CapID, imap.CapEnable}
	switch {
	case c.user != nil:
		return append(list, c.sessionCaps()...)
	case c.tls:
		return append(list, imap.AuthCap("PLAIN"))
	case c.srv.config.TLS != nil:
		return append(list, imap.CapStartTLS, imap.CapLoginDisabled)
	}
	return append(list, imap.CapLoginDisabled)
}

// sessionCaps lists what only matters after sign-in.
func (c *conn) sessionCaps() []imap.Cap {
	return []imap.Cap{
		imap.CapIdle, imap.CapNamespace, imap.CapUIDPlus, imap.CapUnselect, imap.CapMove,
		imap.CapChildren, imap.CapSpecialUse, imap.CapCreateSpecialUse, imap.CapListExtended, imap.CapListStatus, imap.CapStatusSize,
		imap.CapESearch, imap.CapSearchRes, imap.CapWithin, imap.CapBinary, imap.CapUTF8Accept,
		imap.Cap("APPENDLIMIT=" + strconv.FormatInt(c.limits().MessageBytes, 10)),
	}
}

func (c *conn) capability(context.Context, *imapwire.Command) answer {
	c.w.Capability(c.caps())
	return ok("Done")
}

// enable switches on what changes the wire (RFC 5161): IMAP4rev2 (RFC 9051) and UTF8=ACCEPT (RFC 6855). Both bring mailbox names in
// UTF-8.
func (c *conn) enable(_ context.Context, cmd *imapwire.Command) answer {
	var enabled []imap.Cap
	for _, name := range args[imapwire.Enable](cmd).Caps {
		switch {
		case slices.Contains(enabled, name):
			continue
		case name == "IMAP4REV2" && !c.rev2:
			c.rev2 = true
			enabled = append(enabled, imap.CapIMAP4rev2)
		case name == imap.CapUTF8Accept && !c.utf8:
			c.utf8 = true
			enabled = append(enabled, imap.CapUTF8Accept)
		}
	}
	c.w.Enabled(enabled)
	c.r.SetUTF8(c.utf8 || c.rev2)
	c.w.SetUTF8(c.utf8 || c.rev2)
	return ok("Done")
}

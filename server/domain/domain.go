package domain

import (
	"net/netip"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Status says what a domain may do.
type Status string

// The states of a domain. Pending: mail arrives, none may be sent. Disabled: neither.
const (
	Pending  Status = "pending"
	Verified Status = "verified"
	Disabled Status = "disabled"
)

// ParseStatus checks a status word.
func ParseStatus(s string) (Status, bool) {
	st := Status(s)
	return st, st == Pending || st == Verified || st == Disabled
}

// Domain is a hosted domain.
type Domain struct {
	ID     mail.DomainID
	Name   string
	Status Status
	// Version rises with each change; it is the ETag.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// SendingAllowed reports whether mail may be sent from the domain.
func (d Domain) SendingAllowed() bool { return d.Status == Verified }

// ParseName gives the stored form of a domain name: lower case, A-labels, no trailing dot, as dns.ToASCII makes it.
// It gives fault.Invalid for what cannot be a hosted domain, addresses included.
func ParseName(name string) (string, error) {
	ascii, err := dns.ToASCII(name)
	if _, notAddr := netip.ParseAddr(ascii); err != nil || notAddr == nil || endsInDigits(ascii) {
		return "", fault.New(fault.Invalid, "validation-failed", "not a domain name").At("name")
	}
	return ascii, nil
}

// endsInDigits is true for names that some software takes for an address (RFC 3696 §2: a top level of digits only).
func endsInDigits(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Trim(last, "0123456789") == ""
}

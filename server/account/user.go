package account

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Status says whether a user may come in.
type Status string

// The states of a user. A disabled user cannot sign in; whether mail still arrives is decided by the flow.
const (
	Active   Status = "active"
	Disabled Status = "disabled"
)

// ParseStatus checks a status word.
func ParseStatus(s string) (Status, bool) {
	st := Status(s)
	return st, st == Active || st == Disabled
}

// Bounds of a user's fields.
const (
	nameMost      = 200
	quotaMost     = 1 << 50
	domainsMost   = 1000
	defaultQuota  = 5 << 30 // mail-rules L-10
	limitDefault  = 50
	limitMost     = 200
	accountEmails = "account_email_key"
)

// User is a person's account.
type User struct {
	ID       mail.UserID
	DomainID mail.DomainID
	// Email is the address in the spelling that was given; addresses are compared folded.
	Email  string
	Name   string
	Role   mail.Role
	Status Status
	// QuotaBytes is how much the mailboxes may hold, UsedBytes and Messages what they hold.
	QuotaBytes int64
	UsedBytes  int64
	Messages   int64
	// AdminDomains are the domains of an admin; empty for owners and users.
	AdminDomains []mail.DomainID
	// Version rises with each change; it is the ETag.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Address gives the user's address.
func (u User) Address() mail.Address {
	a, err := mail.ParseAddress(u.Email)
	if err != nil {
		return mail.Address{}
	}
	return a
}

// Principal is the user as who asks, from the client's address.
func (u User) principal() mail.Principal {
	return mail.Principal{User: u.ID, Address: u.Address(), Role: u.Role, Domains: u.AdminDomains}
}

// record is a user with what only this package may see.
type record struct {
	User
	hash  string
	epoch int
}

func (r record) principal() mail.Principal {
	p := r.User.principal()
	p.Epoch = r.epoch
	return p
}

// Fold gives the form under which our own addresses are compared: NFC and lower case, the domain in A-labels (S-47).
func Fold(a mail.Address) string {
	name := a.Domain
	if stored, err := domain.ParseName(name); err == nil {
		name = stored
	}
	return norm.NFC.String(strings.ToLower(norm.NFC.String(a.Local))) + "@" + name
}

// parseEmail reads the address of a new user. Addresses that would have to be quoted are refused: hardly any client can type
// them at a login.
func parseEmail(email string) (mail.Address, error) {
	a, err := mail.ParseAddress(email)
	if err != nil {
		return a, invalid("email", "not an email address: %v", err)
	}
	a.Local = norm.NFC.String(a.Local)
	if a.Domain, err = domain.ParseName(a.Domain); err != nil {
		return a, invalid("email", "the part after the @ is not a domain name")
	}
	if text := a.String(); strings.HasPrefix(text, `"`) || len(text) > mail.MaxPath {
		return a, invalid("email", "the address must not need quotes and must have at most %d bytes", mail.MaxPath)
	}
	return a, nil
}

func checkName(field, name string, most int) error {
	if !utf8.ValidString(name) || len(name) > most || strings.ContainsFunc(name, unicode.IsControl) {
		return invalid(field, "at most %d bytes of text without control characters", most)
	}
	return nil
}

func checkQuota(bytes int64) error {
	if bytes < 1 || bytes > quotaMost {
		return invalid("quota_bytes", "quota_bytes must be 1 to %d", int64(quotaMost))
	}
	return nil
}

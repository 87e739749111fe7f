package mailbox

import (
	"time"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// Mailbox is one mailbox (folder) of an account.
type Mailbox struct {
	// Key is the narrow name used inside the program; ID is the public one.
	Key     int64
	ID      mail.MailboxID
	Account mail.UserID
	Domain  mail.DomainID
	// Name is the whole path, "/" between levels; the inbox is "INBOX".
	Name string
	// Role is RoleDrafts ... RoleArchive, or "".
	Role        string
	Subscribed  bool
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      uint64
	// Total and Unseen count messages, Bytes their sizes; a message that is here twice counts twice.
	Total  int
	Unseen int
	Bytes  int64
	// Keywords names the flag bits from mail.FirstKeyword on. It must not be changed.
	Keywords  []string
	CreatedAt time.Time
}

// The roles, which are special uses without backslash (RFC 6154).
const (
	RoleDrafts  = "drafts"
	RoleSent    = "sent"
	RoleJunk    = "junk"
	RoleTrash   = "trash"
	RoleArchive = "archive"
)

// Letter is a message to be filed into a mailbox.
type Letter struct {
	Account mail.UserID
	Domain  mail.DomainID
	// Mailbox is the name; empty, impossible or missing means the inbox.
	Mailbox string
	// Body names the file, which was put into the store for this account and belongs to this letter alone.
	Body body.Ref
	// Meta is what the scanner found, with the prefix of the file set.
	Meta *mime.Message
	// Flags are set on arrival. Keywords beyond the mailbox's limit are left out.
	Flags []mail.Flag
	// InternalDate is when it arrived; zero means now.
	InternalDate time.Time
	// Event is written with the letter, or nil. Account, domain and subject are filled in where they are zero.
	Event *event.Event
}

// Filed says where a letter is.
type Filed struct {
	Key         int64
	Mailbox     mail.MailboxID
	UID         uint32
	UIDValidity uint32
	ModSeq      uint64
	Message     mail.MessageID
}

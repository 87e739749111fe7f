package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// Mailbox is a mailbox (folder) of a user.
type Mailbox struct {
	ID         string    `json:"id" example:"mbx_01h455vb4pex5vsknk084sn02q" doc:"The mailbox's id."`
	UserID     string    `json:"user_id" example:"usr_01h455vb4pex5vsknk084sn02q" doc:"Whose mailbox it is."`
	Name       string    `json:"name" example:"Projects/2026" doc:"The whole path, with / between the levels; the inbox is INBOX."`
	Role       *string   `json:"role" enum:"drafts,sent,junk,trash,archive" example:"archive" doc:"What mail clients use it for; null for ordinary mailboxes and the inbox."`
	Subscribed bool      `json:"subscribed" example:"true" doc:"Whether mail clients show it by default."`
	Total      int       `json:"total" example:"42" doc:"How many messages it holds."`
	Unseen     int       `json:"unseen" example:"3" doc:"How many of them are unread."`
	SizeBytes  int64     `json:"size_bytes" example:"1048576" doc:"The size of its messages together."`
	CreatedAt  time.Time `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was made."`
}

// MailboxCreate is a mailbox to be made.
type MailboxCreate struct {
	Name string `json:"name" example:"Projects/2026" minLength:"1" maxLength:"255" doc:"The whole path, with / between the levels; missing levels above it are made."`
	Role string `json:"role,omitempty" enum:"drafts,sent,junk,trash,archive" example:"archive" doc:"What mail clients use it for; one mailbox of a user can have each role."`
}

// MailboxUpdate is a merge patch of a mailbox.
type MailboxUpdate struct {
	Name string `json:"name,omitempty" example:"Projects/2027" minLength:"1" maxLength:"255" doc:"The new path. Mailboxes below it move along."`
}

// UnmarshalJSON implements json.Unmarshaler: null would remove a field (RFC 7396), and none can be.
func (u *MailboxUpdate) UnmarshalJSON(raw []byte) error {
	type plain MailboxUpdate
	return noNulls(raw, (*plain)(u))
}

// MailboxPage is a page of mailboxes, in the order of their names.
type MailboxPage = Page[Mailbox]

func mailboxOf(m mailbox.Mailbox) Mailbox {
	out := Mailbox{
		ID: m.ID.String(), UserID: m.Account.String(), Name: m.Name, Subscribed: m.Subscribed, Total: m.Total, Unseen: m.Unseen,
		SizeBytes: m.Bytes, CreatedAt: m.CreatedAt.UTC(),
	}
	if m.Role != "" {
		out.Role = &m.Role
	}
	return out
}

func (a *API) registerMailboxes() {
	const tag = "mailboxes"
	register(a, with(scoped(http.MethodGet, "/v1/users/{user_id}/mailboxes", "listMailboxes", tag, "mailboxes:read", "List mailboxes",
		"Gives the mailboxes of a user, in the order of their names."), http.StatusBadRequest, http.StatusNotFound), a.listMailboxes)
	register(a, answers(with(scoped(http.MethodPost, "/v1/users/{user_id}/mailboxes", "createMailbox", tag, "mailboxes:write", "Create a mailbox",
		"Makes a mailbox, and those above it that are missing."), http.StatusNotFound), http.StatusCreated), a.createMailbox)
	register(a, with(scoped(http.MethodGet, "/v1/mailboxes/{mailbox_id}", "getMailbox", tag, "mailboxes:read", "Read a mailbox",
		"Gives one mailbox with its counts."), http.StatusBadRequest, http.StatusNotFound), a.getMailbox)
	register(a, with(scoped(http.MethodPatch, "/v1/mailboxes/{mailbox_id}", "updateMailbox", tag, "mailboxes:write", "Rename a mailbox",
		"Gives a mailbox another name (JSON merge patch). Renaming the inbox moves its messages to a new mailbox of that name, which is the "+
			"answer; the inbox stays and is empty."), http.StatusNotFound, http.StatusConflict), a.updateMailbox)
	register(a, answers(with(scoped(http.MethodDelete, "/v1/mailboxes/{mailbox_id}", "deleteMailbox", tag, "mailboxes:write", "Delete a mailbox",
		"Deletes a mailbox with its messages. The inbox stays, and so does a mailbox with others below it."), http.StatusBadRequest,
		http.StatusNotFound, http.StatusConflict), http.StatusNoContent), a.deleteMailbox)
	a.effects["mbx"] = func(ctx context.Context, ref string) (effect, error) {
		m, err := a.mailboxByID(ctx, ref, "effect")
		return effect{http.StatusCreated, "/v1/mailboxes/" + ref, "", mailboxOf(m)}, err
	}
}

type listMailboxesInput struct {
	UserID string `path:"user_id" doc:"The user's id." example:"usr_01h455vb4pex5vsknk084sn02q"`
	ListInput
	Role       string `query:"role" enum:"drafts,sent,junk,trash,archive" doc:"Only the mailbox with this role."`
	Subscribed bool   `query:"subscribed" doc:"true: only mailboxes that mail clients show by default."`
}

type listMailboxesOutput struct{ Body MailboxPage }

func (a *API) listMailboxes(ctx context.Context, in *listMailboxesInput) (*listMailboxesOutput, error) {
	var id mail.UserID
	if err := parseID(in.UserID, "path.user_id", &id); err != nil {
		return nil, err
	}
	fs := filters("mailboxes", in.UserID, in.Role, in.Subscribed)
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	all, err := a.Mailboxes.List(ctx, principalOf(ctx), id, mailbox.ListFilter{Role: in.Role, Subscribed: in.Subscribed})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b mailbox.Mailbox) int { return strings.Compare(a.Name, b.Name) })
	all = slices.DeleteFunc(all, func(m mailbox.Mailbox) bool { return after != "" && m.Name <= after })
	next := ""
	if len(all) > in.limit() {
		all = all[:in.limit()]
		next = all[len(all)-1].Name
	}
	items := make([]Mailbox, len(all))
	for i, m := range all {
		items[i] = mailboxOf(m)
	}
	return &listMailboxesOutput{Body: page(items, next, fs)}, nil
}

type createMailboxInput struct {
	UserID string `path:"user_id" doc:"The user's id." example:"usr_01h455vb4pex5vsknk084sn02q"`
	Body   MailboxCreate
}

type mailboxCreatedOutput struct {
	Location string `header:"Location" doc:"Where the mailbox is."`
	Body     Mailbox
}

func (a *API) createMailbox(ctx context.Context, in *createMailboxInput) (*mailboxCreatedOutput, error) {
	var id mail.UserID
	if err := parseID(in.UserID, "path.user_id", &id); err != nil {
		return nil, err
	}
	m, err := a.Mailboxes.Create(ctx, principalOf(ctx), id, in.Body.Name, in.Body.Role)
	if err != nil {
		return nil, err
	}
	return &mailboxCreatedOutput{Location: "/v1/mailboxes/" + m.ID.String(), Body: mailboxOf(m)}, nil
}

type mailboxInput struct {
	ID string `path:"mailbox_id" doc:"The mailbox's id." example:"mbx_01h455vb4pex5vsknk084sn02q"`
}

type mailboxOutput struct{ Body Mailbox }

func (a *API) mailboxByID(ctx context.Context, text, where string) (mailbox.Mailbox, error) {
	var id mail.MailboxID
	if err := parseID(text, where, &id); err != nil {
		return mailbox.Mailbox{}, err
	}
	return a.Mailboxes.Get(ctx, principalOf(ctx), id)
}

func (a *API) getMailbox(ctx context.Context, in *mailboxInput) (*mailboxOutput, error) {
	m, err := a.mailboxByID(ctx, in.ID, "path.mailbox_id")
	if err != nil {
		return nil, err
	}
	return &mailboxOutput{Body: mailboxOf(m)}, nil
}

type updateMailboxInput struct {
	ID   string `path:"mailbox_id" doc:"The mailbox's id." example:"mbx_01h455vb4pex5vsknk084sn02q"`
	Body MailboxUpdate
}

func (a *API) updateMailbox(ctx context.Context, in *updateMailboxInput) (*mailboxOutput, error) {
	m, err := a.mailboxByID(ctx, in.ID, "path.mailbox_id")
	if err == nil && in.Body.Name != "" {
		m, err = a.Mailboxes.Rename(ctx, principalOf(ctx), m.Key, in.Body.Name)
	}
	if err != nil {
		return nil, err
	}
	return &mailboxOutput{Body: mailboxOf(m)}, nil
}

func (a *API) deleteMailbox(ctx context.Context, in *mailboxInput) (*struct{}, error) {
	m, err := a.mailboxByID(ctx, in.ID, "path.mailbox_id")
	if err != nil {
		return nil, err
	}
	return nil, a.Mailboxes.Delete(ctx, principalOf(ctx), m.Key)
}

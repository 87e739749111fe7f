package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// User is a person with a mailbox.
type User struct {
	ID         string    `json:"id" example:"usr_01h455vb4pex5vsknk084sn02q" doc:"The user's id."`
	DomainID   string    `json:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"The domain of the address."`
	Email      string    `json:"email" example:"alice@example.test" doc:"The address, for mail and for signing in."`
	Name       string    `json:"name" example:"Alice" doc:"The display name."`
	Role       string    `json:"role" enum:"owner,admin,user" example:"user" doc:"owner: the whole server; admin: the domains in admin_domain_ids; user: the own mailbox."`
	Status     string    `json:"status" enum:"active,disabled" example:"active" doc:"A disabled user can neither sign in nor receive."`
	QuotaBytes int64     `json:"quota_bytes" example:"5368709120" doc:"How much the mailboxes may hold."`
	UsedBytes  int64     `json:"used_bytes" example:"1048576" doc:"How much they hold."`
	Messages   int64     `json:"messages" example:"42" doc:"How many messages they hold."`
	AdminIDs   []string  `json:"admin_domain_ids" nullable:"false" example:"[\"dom_01h455vb4pex5vsknk084sn02q\"]" doc:"The domains that an admin administers."`
	CreatedAt  time.Time `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When the user was created."`
	UpdatedAt  time.Time `json:"updated_at" example:"2026-11-25T15:00:00Z" doc:"When the user was last changed."`
}

// UserCreate is a user to be made.
type UserCreate struct {
	Email        string   `json:"email" example:"alice@example.test" maxLength:"320" doc:"The address; its domain must be hosted."`
	Password     string   `json:"password,omitempty" example:"correct-horse-battery" maxLength:"1024" doc:"The password, at least 12 characters. Give this or password_hash."`
	PasswordHash string   `json:"password_hash,omitempty" example:"$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA" maxLength:"512" doc:"A hash of the password from another server: argon2id (PHC), bcrypt or sha512-crypt."`
	Name         string   `json:"name,omitempty" example:"Alice" maxLength:"200" doc:"The display name."`
	Role         string   `json:"role,omitempty" enum:"owner,admin,user" example:"user" doc:"user when absent; the operation says who makes owners and admins."`
	QuotaBytes   *int64   `json:"quota_bytes,omitempty" example:"5368709120" minimum:"0" doc:"The server's default when absent."`
	AdminIDs     []string `json:"admin_domain_ids,omitempty" nullable:"false" example:"[\"dom_01h455vb4pex5vsknk084sn02q\"]" doc:"The domains that an admin administers."`
}

// UserUpdate is a merge patch of a user: absent fields stay.
type UserUpdate struct {
	Name       *string   `json:"name,omitempty" nullable:"true" example:"Alice" maxLength:"200" doc:"The display name; null removes it."`
	Role       *string   `json:"role,omitempty" enum:"owner,admin,user" example:"admin" doc:"The role."`
	Status     *string   `json:"status,omitempty" enum:"active,disabled" example:"disabled" doc:"The status."`
	QuotaBytes *int64    `json:"quota_bytes,omitempty" example:"1073741824" minimum:"0" doc:"How much the mailboxes may hold."`
	AdminIDs   *[]string `json:"admin_domain_ids,omitempty" nullable:"false" example:"[\"dom_01h455vb4pex5vsknk084sn02q\"]" doc:"The domains that an admin administers."`
}

// UnmarshalJSON implements json.Unmarshaler: null removes a field (RFC 7396), which only the name allows.
func (u *UserUpdate) UnmarshalJSON(raw []byte) error {
	type plain UserUpdate
	if err := json.Unmarshal(raw, (*plain)(u)); err != nil {
		return err
	}
	nulls, err := nullFields(raw)
	if slices.Contains(nulls, "name") {
		u.Name = new(string)
		nulls = slices.DeleteFunc(nulls, func(name string) bool { return name == "name" })
	}
	if err == nil && len(nulls) > 0 {
		return errNull
	}
	return err
}

// PasswordChange is a new password.
type PasswordChange struct {
	Password        string `json:"password" example:"correct-horse-battery" maxLength:"1024" doc:"The new password, at least 12 characters."`
	CurrentPassword string `json:"current_password,omitempty" example:"the-old-password" maxLength:"1024" doc:"The present password; needed by users who change their own."`
}

// UserPage is a page of users, newest first.
type UserPage = Page[User]

func userOf(u account.User) User {
	return User{
		ID: u.ID.String(), DomainID: u.DomainID.String(), Email: u.Email, Name: u.Name, Role: string(u.Role), Status: string(u.Status),
		QuotaBytes: u.QuotaBytes, UsedBytes: u.UsedBytes, Messages: u.Messages, AdminIDs: idText(u.AdminDomains),
		CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
}

func userAnswer(u account.User) *userOutput {
	return &userOutput{Versioned: versioned(u.Version), Body: userOf(u)}
}

type userCreatedOutput struct {
	Versioned
	Location string `header:"Location" doc:"Where the object is."`
	Body     User
}

// appointing says who may give which role.
const appointing = "Owners, and API keys without a list of domains, may make and change users of every role. An API key bound to domains may make " +
	"and change users and those admins whose admin_domain_ids are all among its own, never owners. Admins manage users with the role user."

func (a *API) registerUsers() {
	const tag = "users"
	register(a, with(scoped(http.MethodGet, "/v1/users", "listUsers", tag, "users:read", "List users",
		"Gives the users that the caller may see, newest first."), http.StatusBadRequest), a.listUsers)
	register(a, answers(scoped(http.MethodPost, "/v1/users", "createUser", tag, "users:write", "Create a user",
		"Makes a user with the mailboxes INBOX, Drafts, Sent, Junk, Trash and Archive. "+appointing), http.StatusCreated), a.createUser)
	register(a, with(scoped(http.MethodGet, "/v1/users/{user_id}", "getUser", tag, "users:read", "Read a user",
		"Gives one user."), http.StatusBadRequest, http.StatusNotFound), a.getUser)
	register(a, with(scoped(http.MethodPatch, "/v1/users/{user_id}", "updateUser", tag, "users:write", "Change a user",
		"Changes the given fields (JSON merge patch). A change of role or status ends the user's sessions. If-Match is honoured. "+
			appointing),
		http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed), a.updateUser)
	register(a, answers(with(scoped(http.MethodDelete, "/v1/users/{user_id}", "deleteUser", tag, "users:write", "Delete a user",
		"Deletes a user with all mail. If-Match is honoured."), http.StatusBadRequest, http.StatusNotFound, http.StatusConflict,
		http.StatusPreconditionFailed), http.StatusNoContent), a.deleteUser)
	register(a, patient(answers(with(scoped(http.MethodPut, "/v1/users/{user_id}/password", "setUserPassword", tag, "users:write", "Set a password",
		"Sets a user's password and ends all of the user's sessions. Users who change their own give the current one; a wrong one gets 422 "+
			"current-password-wrong."), http.StatusNotFound), http.StatusNoContent), holdTime), a.setUserPassword)
	a.effects["usr"] = func(ctx context.Context, ref string) (effect, error) {
		u, err := a.userByID(ctx, ref, "effect")
		return effect{http.StatusCreated, "/v1/users/" + ref, etag(u.Version), userOf(u)}, err
	}
}

type listUsersInput struct {
	ListInput
	DomainID string `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only users of this domain."`
	Role     string `query:"role" enum:"owner,admin,user" doc:"Only users with this role."`
	Status   string `query:"status" enum:"active,disabled" doc:"Only users with this status."`
	Email    string `query:"email" maxLength:"320" doc:"Only the user of this address."`
}

type listUsersOutput struct{ Body UserPage }

func (a *API) listUsers(ctx context.Context, in *listUsersInput) (*listUsersOutput, error) {
	fs := filters("users", in.DomainID, in.Role, in.Status, in.Email)
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := account.ListQuery{Limit: in.limit(), Role: mail.Role(in.Role), Status: account.Status(in.Status), Email: in.Email}
	if err := optionalID(after, "query.cursor", &q.After); err != nil {
		return nil, err
	}
	if err := optionalID(in.DomainID, "query.domain_id", &q.Domain); err != nil {
		return nil, err
	}
	list, next, err := a.Accounts.List(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items := make([]User, len(list))
	for i, u := range list {
		items[i] = userOf(u)
	}
	return &listUsersOutput{Body: page(items, nextID(next), fs)}, nil
}

type createUserInput struct{ Body UserCreate }

func (a *API) createUser(ctx context.Context, in *createUserInput) (*userCreatedOutput, error) {
	domains, err := domainIDs(in.Body.AdminIDs)
	if err != nil {
		return nil, err
	}
	b := in.Body
	u, err := a.Accounts.Create(ctx, principalOf(ctx), account.Create{
		Email: b.Email, Password: b.Password, PasswordHash: b.PasswordHash, Name: b.Name, Role: mail.Role(b.Role), QuotaBytes: b.QuotaBytes, Domains: domains,
	})
	if err != nil {
		return nil, err
	}
	return &userCreatedOutput{Versioned: versioned(u.Version), Location: "/v1/users/" + u.ID.String(), Body: userOf(u)}, nil
}

func domainIDs(texts []string) ([]mail.DomainID, error) {
	out := make([]mail.DomainID, len(texts))
	for i, text := range texts {
		if err := bodyID(text, "body.admin_domain_ids", &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type userInput struct {
	ID          string `path:"user_id" doc:"The user's id." example:"usr_01h455vb4pex5vsknk084sn02q"`
	IfNoneMatch string `header:"If-None-Match" doc:"The version that the caller has; 304 when it is current."`
}

func (a *API) userByID(ctx context.Context, text, where string) (account.User, error) {
	var id mail.UserID
	if err := parseID(text, where, &id); err != nil {
		return account.User{}, err
	}
	return a.Accounts.Get(ctx, principalOf(ctx), id)
}

func (a *API) getUser(ctx context.Context, in *userInput) (*userOutput, error) {
	u, err := a.userByID(ctx, in.ID, "path.user_id")
	if err != nil {
		return nil, err
	}
	if notModified(in.IfNoneMatch, u.Version) {
		return nil, errNotModified(u.Version)
	}
	return userAnswer(u), nil
}

type updateUserInput struct {
	ID      string `path:"user_id" doc:"The user's id." example:"usr_01h455vb4pex5vsknk084sn02q"`
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
	Body    UserUpdate
}

func (a *API) updateUser(ctx context.Context, in *updateUserInput) (*userOutput, error) {
	var id mail.UserID
	if err := parseID(in.ID, "path.user_id", &id); err != nil {
		return nil, err
	}
	update := account.Update{Name: in.Body.Name, QuotaBytes: in.Body.QuotaBytes, IfVersion: ifMatch(in.IfMatch)}
	if in.Body.Role != nil {
		role := mail.Role(*in.Body.Role)
		update.Role = &role
	}
	if in.Body.Status != nil {
		status := account.Status(*in.Body.Status)
		update.Status = &status
	}
	if in.Body.AdminIDs != nil {
		domains, err := domainIDs(*in.Body.AdminIDs)
		if err != nil {
			return nil, err
		}
		update.Domains = &domains
	}
	u, err := a.changeUser(ctx, id, update)
	if err != nil {
		return nil, err
	}
	return userAnswer(u), nil
}

// changeUser leaves a user's version alone when the patch changes nothing.
func (a *API) changeUser(ctx context.Context, id mail.UserID, u account.Update) (account.User, error) {
	if u.Name != nil || u.Role != nil || u.Status != nil || u.QuotaBytes != nil || u.Domains != nil {
		return a.Accounts.Update(ctx, principalOf(ctx), id, u)
	}
	user, err := a.Accounts.Get(ctx, principalOf(ctx), id)
	if err == nil {
		err = checkVersion(u.IfVersion, user.Version)
	}
	return user, err
}

type deleteUserInput struct {
	ID      string `path:"user_id" doc:"The user's id." example:"usr_01h455vb4pex5vsknk084sn02q"`
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
}

func (a *API) deleteUser(ctx context.Context, in *deleteUserInput) (*struct{}, error) {
	var id mail.UserID
	if err := parseID(in.ID, "path.user_id", &id); err != nil {
		return nil, err
	}
	return nil, a.Accounts.Delete(ctx, principalOf(ctx), id, ifMatch(in.IfMatch))
}

type setPasswordInput struct {
	ID   string `path:"user_id" doc:"The user's id." example:"usr_01h455vb4pex5vsknk084sn02q"`
	Body PasswordChange
}

func (a *API) setUserPassword(ctx context.Context, in *setPasswordInput) (*struct{}, error) {
	var id mail.UserID
	if err := parseID(in.ID, "path.user_id", &id); err != nil {
		return nil, err
	}
	return nil, a.Accounts.SetPassword(ctx, principalOf(ctx), id, account.SetPassword{Current: in.Body.CurrentPassword, New: in.Body.Password})
}

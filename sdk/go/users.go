package mailserver

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Users are people with a mailbox.
type Users struct{ api *api.ClientWithResponses }

// ListUsers narrows a list of users; zero fields do not. Limit is the size of a page, 50 when 0.
type ListUsers struct {
	DomainID string
	Role     UserRole
	Status   UserStatus
	Email    string
	Limit    int
	Cursor   string
}

// List gives one page, newest first.
func (u Users) List(ctx context.Context, f ListUsers, options ...CallOption) (*UserPage, error) {
	return got(u.api.ListUsersWithResponse(with(ctx, options), &api.ListUsersParams{
		DomainID: given(f.DomainID), Role: given(f.Role), Status: given(f.Status), Email: given(f.Email), Limit: size(f.Limit),
		Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (u Users) All(ctx context.Context, f ListUsers, options ...CallOption) iter.Seq2[User, error] {
	return pages(f.Cursor, func(cursor string) ([]User, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := u.List(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Create makes a user with an inbox and the usual mailboxes.
func (u Users) Create(ctx context.Context, create UserCreate, options ...CallOption) (*User, error) {
	return made(u.api.CreateUserWithResponse(with(ctx, options), create))
}

// Get gives the user of an id.
func (u Users) Get(ctx context.Context, id string, options ...CallOption) (*User, error) {
	return got(u.api.GetUserWithResponse(with(ctx, options), segment(id)))
}

// GetByEmail gives the user of an address; when there is none the problem has the code not-found.
func (u Users) GetByEmail(ctx context.Context, email string, options ...CallOption) (*User, error) {
	page, err := u.List(ctx, ListUsers{Email: email, Limit: 1}, options...)
	if err != nil {
		return nil, err
	}
	return first(page.Items, "the user "+email)
}

// Me gives the user of an access token. An API key has no user: the problem has the code not-found.
func (u Users) Me(ctx context.Context, options ...CallOption) (*User, error) {
	return got(u.api.GetMeWithResponse(with(ctx, options)))
}

// Update changes the given fields.
func (u Users) Update(ctx context.Context, id string, update UserUpdate, options ...CallOption) (*User, error) {
	return got(u.api.UpdateUserWithResponse(with(ctx, options), segment(id), update))
}

// Delete deletes a user with all mail.
func (u Users) Delete(ctx context.Context, id string, options ...CallOption) error {
	return done(u.api.DeleteUserWithResponse(with(ctx, options), segment(id)))
}

// SetPassword sets a user's password and ends the user's sessions.
func (u Users) SetPassword(ctx context.Context, id, password string, options ...CallOption) error {
	return done(u.api.SetUserPasswordWithResponse(with(ctx, options), segment(id), api.PasswordChange{Password: password}))
}

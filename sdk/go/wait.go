package mailserver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of the pauses between two looks at an email.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = 2 * time.Second
)

// StatusError says that an email ended in another status than Wait was asked for.
type StatusError struct {
	Email *Email
	Want  []EmailStatus
}

// Error names the email, its status and the last answers of the servers that refused it.
func (e *StatusError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "the email %s is %s", e.Email.ID, e.Email.Status)
	for _, r := range e.Email.Recipients {
		if !slices.Contains(e.Want, r.Status) {
			fmt.Fprintf(&text, "; %s: %s, %s", r.Email, r.Status, r.LastReply)
		}
	}
	return text.String()
}

// Final reports whether a status is the last that an email or a recipient gets.
func Final(status EmailStatus) bool {
	return slices.Contains([]EmailStatus{"delivered", "bounced", "suppressed", "cancelled", "failed"}, status)
}

// Wait looks at an email again and again until it has one of the given statuses, or any final one when none is given. When it
// ends in another, Wait returns it together with a *StatusError. The context bounds the waiting: an email that another server
// defers may be on its way for days.
func (e Emails) Wait(ctx context.Context, id string, until ...EmailStatus) (*Email, error) {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		email, err := e.Get(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(until, email.Status), len(until) == 0 && Final(email.Status):
			return email, nil
		case Final(email.Status):
			return email, &StatusError{Email: email, Want: until}
		}
		if err := wait(ctx, pause); err != nil {
			return email, fmt.Errorf("the email %s is still %s: %w", id, email.Status, err)
		}
	}
}

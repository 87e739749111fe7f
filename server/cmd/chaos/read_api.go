package main

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
)

// page is a list of the API.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor"`
}

// all walks a list by its cursor.
func all[T any](ctx context.Context, h *caller, path string) ([]T, error) {
	var out []T
	cursor := ""
	for {
		next := path
		if cursor != "" {
			separator := "?"
			if strings.Contains(path, "?") {
				separator = "&"
			}
			next += separator + "cursor=" + url.QueryEscape(cursor)
		}
		var p page[T]
		if err := h.get(ctx, next, &p); err != nil {
			return nil, err
		}
		out = append(out, p.Items...)
		if p.Next == "" {
			return out, nil
		}
		if p.Next == cursor {
			return nil, fmt.Errorf("GET %s: the cursor does not move", path)
		}
		cursor = p.Next
	}
}

func asStatus(err error, target **statusError) bool { return errors.As(err, target) }

// readEmails reads what became of every email.
func (w *world) readEmails(ctx context.Context, h *caller) error {
	list, err := all[emailState](ctx, h, "/emails?limit=100")
	if err != nil {
		return err
	}
	w.emails = map[string]emailState{}
	for _, e := range list {
		w.emails[e.ID] = e
	}
	return nil
}

// apiUser is a user with the figures that the API gives.
type apiUser struct {
	ID       string `json:"id"`
	Email    string `json:"email"`
	Messages int64  `json:"messages"`
}

// readUsers gives the users by the name of their folder on disk.
func readUsers(ctx context.Context, h *caller) (map[string]apiUser, error) {
	list, err := all[apiUser](ctx, h, "/users?limit=100")
	if err != nil {
		return nil, err
	}
	out := map[string]apiUser{}
	for _, u := range list {
		out[u.ID] = u
	}
	return out, nil
}

// sampleEvery says of which messages the bytes are read over the API too: reading all would take long.
const sampleEvery = 20

// readBoxes reads what the API shows of the users' mailboxes.
func (w *world) readBoxes(ctx context.Context, h *caller, users map[string]apiUser) error {
	type mailbox struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Total  int64  `json:"total"`
		Unseen int64  `json:"unseen"`
		Bytes  int64  `json:"size_bytes"`
	}
	w.api = map[boxName]apiBox{}
	for _, id := range sortedKeys(users) {
		list, err := all[mailbox](ctx, h, "/users/"+id+"/mailboxes")
		if err != nil {
			return err
		}
		for _, m := range list {
			b := apiBox{messages: m.Total, unseen: m.Unseen, bytes: m.Bytes}
			if err := b.read(ctx, h, "/mailboxes/"+m.ID+"/messages?limit=100"); err != nil {
				return err
			}
			w.api[boxName{account(users[id].Email), m.Name}] = b
		}
	}
	return nil
}

func (b *apiBox) read(ctx context.Context, h *caller, path string) error {
	type summary struct {
		ID      string   `json:"id"`
		Subject string   `json:"subject"`
		Size    int64    `json:"size_bytes"`
		Flags   []string `json:"flags"`
	}
	list, err := all[summary](ctx, h, path)
	if err != nil {
		return err
	}
	for i, m := range list {
		item := apiItem{id: strings.TrimPrefix(m.Subject, "chaos "), size: m.Size}
		for _, f := range m.Flags {
			item.flags = append(item.flags, strings.ToLower(f))
		}
		if i%sampleEvery == 0 {
			raw, err := h.raw(ctx, "/messages/"+m.ID+"/raw")
			if err != nil {
				return err
			}
			item.sampled, item.content = true, examine(raw)
		}
		b.items = append(b.items, item)
	}
	return nil
}

// unsettled counts recipients without a final result, up to a hundred.
func unsettled(ctx context.Context, h *caller) (int, error) {
	var p page[struct {
		ID string `json:"id"`
	}]
	if err := h.get(ctx, "/queue/entries?limit=100", &p); err != nil {
		return 0, err
	}
	return len(p.Items), nil
}

// owedNotices counts the bounced recipients of senders whose mailbox is ours.
func owedNotices(ctx context.Context, h *caller, users []login) (int, error) {
	list, err := all[emailState](ctx, h, "/emails?limit=100&status=bounced")
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range list {
		if !slices.ContainsFunc(users, func(u login) bool { return u.Email == plainAddress(e.From) }) {
			continue
		}
		for _, r := range e.Recipients {
			if r.Status == "bounced" {
				n++
			}
		}
	}
	return n, nil
}

// plainAddress takes the name off an address.
func plainAddress(s string) string {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return s
	}
	return a.Address
}

// destination is what the API says of mail for a domain.
type destination struct {
	State       string `json:"state"`
	Failures    int    `json:"failures"`
	PausedUntil string `json:"paused_until"`
}

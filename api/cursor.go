package api

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// ListInput is the part that every list shares.
type ListInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" example:"50" doc:"How many items a page holds; more than 200 gives 200."`
	Cursor string `query:"cursor" maxLength:"1024" example:"aGVsbG8td29ybGQ" doc:"Where the page begins: next_cursor of the page before. Absent for the first page."`
}

const maxLimit = 200

func (l ListInput) limit() int { return min(max(l.Limit, 1), maxLimit) }

// Page is a list's answer.
type Page[T any] struct {
	Items      []T     `json:"items" nullable:"false" doc:"The items of this page."`
	NextCursor *string `json:"next_cursor" example:"aGVsbG8td29ybGQ" doc:"Where the next page begins; null on the last page."`
}

// page makes a list's answer; next is the cursor's content, "" on the last page.
func page[T any](items []T, next, filters string) Page[T] {
	out := Page[T]{Items: items}
	if out.Items == nil {
		out.Items = []T{}
	}
	if next != "" {
		c := sealCursor(next, filters)
		out.NextCursor = &c
	}
	return out
}

// A cursor is opaque and belongs to one list with one set of filters: it carries a digest of both. It is not a secret, since a
// list shows nothing that its caller may not see, wherever it begins.
const cursorDigest = 9

func digest(content, filters string) []byte {
	sum := sha256.Sum256([]byte("mailserver cursor\x00" + filters + "\x00" + content))
	return sum[:cursorDigest]
}

func sealCursor(content, filters string) string {
	return base64.RawURLEncoding.EncodeToString(append(digest(content, filters), content...))
}

// openCursor gives the content of a cursor, "" for an absent one.
func openCursor(text, filters string) (string, error) {
	if text == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && len(raw) > cursorDigest {
		content := string(raw[cursorDigest:])
		if string(raw[:cursorDigest]) == string(digest(content, filters)) {
			return content, nil
		}
	}
	return "", errCursor()
}

func errCursor() error {
	return fault.New(fault.Malformed, "invalid-cursor", "the cursor was not given by this list with these filters; begin again without it").At("query.cursor")
}

// filters names a list and its filters, for the cursor's digest.
func filters(list string, values ...any) string { return fmt.Sprintf("%s %q", list, values) }

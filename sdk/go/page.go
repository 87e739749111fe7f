package mailserver

import (
	"errors"
	"iter"
	"net/http"

	"github.com/oapi-codegen/nullable"
)

// Value fills a field that may be null.
func Value[T any](v T) nullable.Nullable[T] { return nullable.NewNullableWithValue(v) }

// Null makes a field null; in an update it removes what is there.
func Null[T any]() nullable.Nullable[T] { return nullable.NewNullNullable[T]() }

// Cursor gives the cursor of the next page, "" after the last: the Cursor of the next List.
func Cursor(next nullable.Nullable[string]) string {
	cursor, err := next.Get()
	if err != nil {
		return ""
	}
	return cursor
}

// errCursor ends a walk that would never end.
var errCursor = errors.New("the server gave the cursor of the same page again")

// pages walks through a list from a cursor on, as often as the caller ranges over it. An error ends a walk.
func pages[T any](start string, fetch func(cursor string) ([]T, nullable.Nullable[string], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		cursor := start
		var none T
		for {
			items, next, err := fetch(cursor)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			following := Cursor(next)
			if following == "" {
				return
			}
			if following == cursor {
				yield(none, errCursor)
				return
			}
			cursor = following
		}
	}
}

// first gives the only item of a list that was narrowed to one, or the problem not-found.
func first[T any](items []T, what string) (*T, error) {
	if len(items) == 0 {
		return nil, notFound(what)
	}
	return &items[0], nil
}

// given leaves a filter out when it says nothing.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// size gives the size of a page as the contract counts.
func size(limit int) *int64 { return given(int64(limit)) }

// notFound is the problem of a look-up by name that found nothing.
func notFound(what string) *Problem {
	p := &Problem{}
	p.Status, p.Code, p.Title, p.Detail = http.StatusNotFound, CodeNotFound, http.StatusText(http.StatusNotFound), what+" was not found"
	return p
}

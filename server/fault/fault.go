package fault

import (
	"errors"
	"fmt"
)

// Kind is what a caller may branch on.
type Kind uint8

// The kinds, in the order of a request's life.
const (
	// Internal is our own fault: 500, SMTP 451, IMAP NO [SERVERBUG].
	Internal Kind = iota
	// Invalid is input that can never be accepted: 422, SMTP 5xx, IMAP NO or BAD.
	Invalid
	// Malformed is input that could not be parsed at all: 400.
	Malformed
	// Unauthenticated is a missing, wrong or expired credential: 401, SMTP 535, IMAP NO [AUTHENTICATIONFAILED].
	Unauthenticated
	// Forbidden is a known caller without the right: 403, SMTP 550 5.7.1, IMAP NO [NOPERM].
	Forbidden
	// NotFound is an object that does not exist for this caller: 404, SMTP 550 5.1.1, IMAP NO [NONEXISTENT].
	NotFound
	// Gone is an object whose content existed and is no longer there: 410.
	Gone
	// Conflict is a state that does not allow the change: 409, IMAP NO [ALREADYEXISTS] or NO [INUSE].
	Conflict
	// Stale is a failed precondition: 412.
	Stale
	// TooLarge is input above a stated size: 413, SMTP 552 5.3.4, IMAP NO [TOOBIG].
	TooLarge
	// OverQuota is a full mailbox: 507, SMTP 452 4.2.2, IMAP NO [OVERQUOTA].
	OverQuota
	// Limited is a rate or count that will pass again: 429, SMTP 450 4.7.1, IMAP NO [LIMIT].
	Limited
	// Storage is a disk without room: 507, SMTP 452 4.3.1, IMAP NO [UNAVAILABLE].
	Storage
	// Unavailable is a dependency that is down: 503, SMTP 451 4.3.0, IMAP NO [UNAVAILABLE].
	Unavailable
)

// String gives the kind as it appears in logs.
func (k Kind) String() string {
	switch k {
	case Internal:
		return "internal"
	case Invalid:
		return "invalid"
	case Malformed:
		return "malformed"
	case Unauthenticated:
		return "unauthenticated"
	case Forbidden:
		return "forbidden"
	case NotFound:
		return "not_found"
	case Gone:
		return "gone"
	case Conflict:
		return "conflict"
	case Stale:
		return "stale"
	case TooLarge:
		return "too_large"
	case OverQuota:
		return "over_quota"
	case Limited:
		return "limited"
	case Storage:
		return "storage"
	case Unavailable:
		return "unavailable"
	}
	return "unknown"
}

// Temporary reports whether the same request may succeed later without a change by the caller.
func (k Kind) Temporary() bool {
	switch k {
	case Internal, OverQuota, Limited, Storage, Unavailable:
		return true
	case Invalid, Malformed, Unauthenticated, Forbidden, NotFound, Gone, Conflict, Stale, TooLarge:
		return false
	}
	return true
}

// Error is an error with a kind.
type Error struct {
	// Kind is what callers branch on.
	Kind Kind
	// Code is the stable kebab-case word of the API ("sender-not-verified"); empty means the kind's default code.
	Code string
	// Text is one sentence for the caller. It says what is wrong and what to do next, and never quotes secrets or content.
	Text string
	// Field locates bad input, as a JSON path ("body.from") or a parameter name; empty when the whole request is meant.
	Field string
	// Details are further located findings, when one request has several.
	Details []Detail
	// Err is the cause. It goes to the log only.
	Err error
}

// Detail is one located finding of a request with several.
type Detail struct {
	Field string // as Error.Field
	Code  string // as Error.Code
	Text  string // as Error.Text
}

// Error gives the text and the cause, for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error with a public text and no cause.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Text: fmt.Sprintf(format, args...)}
}

// Wrap makes an error with a public text and a cause that only the log sees.
func Wrap(err error, kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Text: fmt.Sprintf(format, args...), Err: err}
}

// At gives the error with the place of the bad input.
func (e *Error) At(field string) *Error {
	out := *e
	out.Field = field
	return &out
}

// KindOf gives the kind of err: Internal when no *Error is in its chain.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// CodeOf gives the stable code of err, or "" when none is set.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Is reports whether err has the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Public gives the sentence that may be shown to the caller. Errors without a kind give one that reveals nothing.
func Public(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Kind != Internal {
		return e.Text
	}
	return "internal error; the server's log has the cause under this request id"
}

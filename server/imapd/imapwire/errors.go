package imapwire

import (
	"errors"

	"github.com/emersion/go-imap/v2"
)

// ErrClose says that the Reader cannot know where the next command starts, or would have to skip more than its limits allow.
// The connection has to be closed after the answer.
var ErrClose = errors.New("imapwire: the connection cannot be read any further")

// ErrLiteral says that the source of a streamed literal gave fewer bytes than announced. The client waits for bytes that do
// not exist, so the connection has to be closed.
var ErrLiteral = errors.New("imapwire: the literal ended early")

// Error is a command the server refuses while reading it. The engine answers it and goes on with the next command, unless it
// wraps ErrClose.
type Error struct {
	// Tag of the command, empty if it had none that could be read: the answer is then untagged.
	Tag string
	// Status is BAD, or NO where the syntax is right and the value is not.
	Status imap.StatusResponseType
	// Code is the response code without brackets, or empty.
	Code imap.ResponseCode
	// Text is for people and never repeats what the client sent, which may be a password.
	Text string
	// Fatal asks for the connection to be closed after the answer.
	Fatal bool
}

// Error gives the answer as it would be written, without the tag.
func (e *Error) Error() string {
	text := "imapwire: " + string(e.Status) + " "
	if e.Code != "" {
		text += "[" + string(e.Code) + "] "
	}
	return text + e.Text
}

// Unwrap gives ErrClose if the connection cannot go on.
func (e *Error) Unwrap() error {
	if e.Fatal {
		return ErrClose
	}
	return nil
}

func bad(text string) *Error {
	return &Error{Status: imap.StatusResponseTypeBad, Text: text}
}

func tooMuch(text string) *Error {
	return &Error{Status: imap.StatusResponseTypeBad, Code: imap.ResponseCodeLimit, Text: text}
}

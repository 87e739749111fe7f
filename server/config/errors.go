package config

import (
	"strconv"
	"strings"
)

// maxErrors is how many faults one Load reports; the rest is counted.
const maxErrors = 50

const (
	unknownKey   = "unknown key"
	notAvailable = "not available in this version"
)

// Error is one fault of the configuration.
type Error struct {
	// File is the name of the file, or "environment" or "flags".
	File string
	// Line is the line in the file, 0 outside a file.
	Line int
	// Key is the path in the file (limits.message_bytes) or the name of the
	// environment variable. It is empty when the file cannot be read at all.
	Key string
	// Value is the text that was given, "" when it is a secret or looks like one.
	Value string
	// Problem says what is wrong.
	Problem string
	// Nearest is the known key that was probably meant, if any.
	Nearest string
}

// Error returns `file:line: key: problem; did you mean other.key?`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(printable(e.Key) + ": ")
	}
	value := strconv.Quote(printable(e.Value))
	switch {
	case e.Value == "":
		b.WriteString(e.Problem)
	case e.Problem == unknownKey || e.Problem == notAvailable:
		b.WriteString(e.Problem + " (value " + value + ")")
	default:
		b.WriteString(value + " " + e.Problem)
	}
	if e.Nearest != "" {
		b.WriteString("; did you mean " + e.Nearest + "?")
	}
	return b.String()
}

// Errors is everything that is wrong, in the order file, environment, flags.
type Errors []*Error

// Error returns one fault a line.
func (es Errors) Error() string {
	lines := make([]string, 0, len(es))
	for _, e := range es[:min(len(es), maxErrors)] {
		lines = append(lines, e.Error())
	}
	if more := len(es) - maxErrors; more > 0 {
		lines = append(lines, "and "+strconv.Itoa(more)+" more")
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the single faults.
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// printable makes text safe for one line of a terminal and not too long for it.
func printable(text string) string {
	const limit = 80
	var b strings.Builder
	for _, r := range text {
		if !strconv.IsPrint(r) {
			r = '\uFFFD'
		}
		if b.Len() > limit {
			b.WriteString("...")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

package imapwire_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// session reads commands from a text in which every byte is there from the start, and notes the continuations.
type session struct {
	*imapwire.Reader
	source *strings.Reader
	conts  int
}

func newSession(input string) *session {
	s := &session{source: strings.NewReader(input)}
	s.Reader = imapwire.NewReader(s.source, imapwire.LimitsAfterLogin(), func(string) error {
		s.conts++
		return nil
	})
	return s
}

func one(t *testing.T, input string) *imapwire.Command {
	t.Helper()
	cmd, err := newSession(input).ReadCommand()
	if err != nil {
		t.Fatalf("%q: %v", clip(input), err)
	}
	return cmd
}

func args[T any](t *testing.T, input string) T {
	t.Helper()
	got, ok := one(t, input).Args.(T)
	if !ok {
		t.Fatalf("%q: arguments are of another type", clip(input))
	}
	return got
}

// refused reads a command that is refused and then a NOOP behind it, which shows that the Reader is in step.
func refused(t *testing.T, input string) *imapwire.Error {
	t.Helper()
	s := newSession(input + "next NOOP\r\n")
	_, err := s.ReadCommand()
	var e *imapwire.Error
	if !errors.As(err, &e) {
		t.Fatalf("%q: error %v, want an *Error", clip(input), err)
	}
	if e.Fatal {
		t.Fatalf("%q: connection given up: %v", clip(input), err)
	}
	mustBeNext(t, s, input)
	return e
}

func mustBeNext(t *testing.T, s *session, input string) {
	t.Helper()
	cmd, err := s.ReadCommand()
	if err != nil || cmd.Tag != "next" || cmd.Name != "NOOP" {
		t.Fatalf("%q: the command behind it was lost: %+v, %v", clip(input), cmd, err)
	}
	if _, err := s.ReadCommand(); !errors.Is(err, io.EOF) {
		t.Fatalf("%q: something was left over: %v", clip(input), err)
	}
}

func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}

func day(text string) time.Time {
	t, err := time.Parse("2006-01-02", text)
	if err != nil {
		panic(err)
	}
	return t
}

func seqs(ranges ...uint32) imap.SeqSet {
	var set imap.SeqSet
	for i := 0; i < len(ranges); i += 2 {
		set = append(set, imap.SeqRange{Start: ranges[i], Stop: ranges[i+1]})
	}
	return set
}

func uids(ranges ...imap.UID) imap.UIDSet {
	var set imap.UIDSet
	for i := 0; i < len(ranges); i += 2 {
		set = append(set, imap.UIDRange{Start: ranges[i], Stop: ranges[i+1]})
	}
	return set
}

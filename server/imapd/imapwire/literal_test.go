package imapwire_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

func readAppend(t *testing.T, s *session) *imapwire.Append {
	t.Helper()
	cmd, err := s.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Args.(*imapwire.Append)
}

func TestAppendStreamsItsMessage(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x DELETE INBOX\r\n", 20000)
	for _, form := range []string{
		"a APPEND INBOX {%d}\r\n%s\r\n", "a APPEND {5+}\r\ninbox (a) {%d+}\r\n%s\r\n", "a APPEND \"INBOX\" UTF8 (~{%d+}\r\n%s)\r\n",
		"a append INBOX () \"17-Jul-1996 02:44:25 -0700\" ~{%d}\r\n%s\r\n",
	} {
		s := newSession(fmt.Sprintf(form, len(body), body) + "next NOOP\r\n")
		args := readAppend(t, s)
		if args.Mailbox != "INBOX" || args.Message.Size() != int64(len(body)) || s.conts != 0 {
			t.Errorf("%q: %+v after %d continuations", form, args, s.conts)
		}
		if got, err := io.ReadAll(args.Message); err != nil || string(got) != body {
			t.Errorf("%q: %d bytes, %v", form, len(got), err)
		}
		if want := strings.Contains(form, "{%d}"); (s.conts == 1) != want || args.Message.NonSync() == want {
			t.Errorf("%q: %d continuations", form, s.conts)
		}
		if err := args.Message.Close(); err != nil {
			t.Errorf("%q: %v", form, err)
		}
		mustBeNext(t, s, form)
	}
}

// Trap 11 of the library: a MULTIAPPEND client got no answer and its second message was run as commands.
func TestSecondMessageIsRefusedAndSkipped(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{" {14+}\r\nx DELETE INBOX\r\n", " (\\Seen) {14+}\r\nx DELETE INBOX {3+}\r\nabc\r\n", " {14}\r\n", "x\r\n", " \r\n", ")\r\n"} {
		s := newSession("a APPEND x {3+}\r\nabc" + rest + "next NOOP\r\n")
		msg := readAppend(t, s).Message
		if _, err := io.ReadAll(msg); err != nil {
			t.Fatal(err)
		}
		err := msg.Close()
		var e *imapwire.Error
		if !errors.As(err, &e) || e.Fatal || e.Tag != "a" || e.Status != imap.StatusResponseTypeBad {
			t.Errorf("%q: %v", rest, err)
		}
		mustBeNext(t, s, rest)
	}
}

func TestUTF8MessageNeedsItsParenthesis(t *testing.T) {
	t.Parallel()
	s := newSession("a APPEND x UTF8 (~{3+}\r\nabc\r\nnext NOOP\r\n")
	if err := readAppend(t, s).Message.Close(); err == nil {
		t.Error("an open list was taken")
	}
	mustBeNext(t, s, "UTF8")
}

func TestRefusedMessageCostsNoRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSession("a APPEND x {4294967295}\r\nnext NOOP\r\n")
	if err := readAppend(t, s).Message.Close(); err != nil || s.conts != 0 {
		t.Errorf("%v after %d continuations", err, s.conts)
	}
	mustBeNext(t, s, "synchronising")

	s = newSession("a APPEND x {14+}\r\nx DELETE INBOX\r\nnext NOOP\r\n")
	msg := readAppend(t, s).Message
	if err := msg.Close(); err != nil {
		t.Error(err)
	}
	if _, err := msg.Read(make([]byte, 1)); err == nil {
		t.Error("a closed message can be read")
	}
	mustBeNext(t, s, "not synchronising")
}

func TestHugeUnwantedMessageEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := newSession("a APPEND x {4294967295+}\r\nx DELETE INBOX\r\n")
	err := readAppend(t, s).Message.Close()
	var e *imapwire.Error
	if !errors.As(err, &e) || !errors.Is(err, imapwire.ErrClose) || e.Code != imap.ResponseCodeTooBig {
		t.Error(err)
	}
	if _, err := s.ReadCommand(); !errors.Is(err, imapwire.ErrClose) {
		t.Error(err)
	}
}

func TestForgottenMessageIsClosedByTheNextRead(t *testing.T) {
	t.Parallel()
	s := newSession("a APPEND x {14}\r\nx DELETE INBOX\r\nnext NOOP\r\n")
	msg := readAppend(t, s).Message
	if _, err := io.ReadFull(msg, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	mustBeNext(t, s, "half read")
}

func TestEmptyMessageStillNeedsItsContinuation(t *testing.T) {
	t.Parallel()
	s := newSession("a APPEND x {0}\r\n\r\nnext NOOP\r\n")
	msg := readAppend(t, s).Message
	if n, err := msg.Read(make([]byte, 9)); n != 0 || !errors.Is(err, io.EOF) || s.conts != 1 {
		t.Errorf("%d, %v after %d continuations", n, err, s.conts)
	}
	if err := msg.Close(); err != nil {
		t.Error(err)
	}
	mustBeNext(t, s, "empty")
}

func TestMessageCutByTheConnectionIsNotWhole(t *testing.T) {
	t.Parallel()
	s := newSession("a APPEND x {100+}\r\nabc")
	msg := readAppend(t, s).Message
	if _, err := io.ReadAll(msg); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if err := msg.Close(); err == nil {
		t.Error("a cut message was closed without an error")
	}
	for _, input := range []string{"a APPEND x {100+}\r\nabc", "a APPEND x {3+}\r\nabc"} {
		if err := readAppend(t, newSession(input)).Message.Close(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", input, err)
		}
	}
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// smtpScript is a server that breaks at a chosen place.
func smtpScript(t *testing.T, breakAt string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go playSMTP(conn, breakAt)
		}
	}()
	return ln.Addr().String()
}

func playSMTP(conn net.Conn, breakAt string) {
	defer conn.Close()
	fmt.Fprint(conn, "220 x\r\n")
	lines := bufio.NewScanner(conn)
	data := false
	for lines.Scan() {
		verb := strings.ToUpper(strings.SplitN(lines.Text(), " ", 2)[0])
		switch {
		case data && lines.Text() != ".":
			continue
		case data:
			verb, data = "DOT", false
		}
		if verb == breakAt {
			return
		}
		switch verb {
		case "DATA":
			data = true
			fmt.Fprint(conn, "354 go\r\n")
		case "DOT":
			if breakAt == "451" {
				fmt.Fprint(conn, "451 4.3.0 later\r\n")
				continue
			}
			fmt.Fprint(conn, "250 2.0.0 filed\r\n")
		default:
			fmt.Fprint(conn, "250 fine\r\n")
		}
	}
}

func TestOnlyABreakAfterTheDotIsUnknown(t *testing.T) {
	t.Parallel()
	for breakAt, want := range map[string]string{
		"": evAck, "MAIL": evUnsent, "RCPT": evUnsent, "DATA": evUnsent, "DOT": evUnknown, "451": evRefused,
	} {
		s, err := dialSMTP(t.Context(), smtpScript(t, breakAt))
		if err != nil {
			t.Fatal(err)
		}
		p := compose(newDice(1, 1), "k", "a@b.test", []string{"c@d.test"})
		got, reply, _ := transfer(s, &letter{parcel: p, from: "a@b.test", to: []string{"c@d.test"}})
		if got != want {
			t.Errorf("break at %q: %s (%s), want %s", breakAt, got, reply, want)
		}
		s.Close()
	}
}

func TestOutcomeOfAPostSaysWhatTheClientKnows(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{
		evAck: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"id":"eml_1"}`)
		},
		evRefused: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		evUnknown: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for want, handler := range answers {
		server := httptest.NewServer(handler)
		h := newHTTP(&target{devInfo: devInfo{APIURL: server.URL}})
		if got, reply, _ := h.send(t.Context(), &letter{kind: kindAPI}); got != want {
			t.Errorf("%s (%s), want %s", got, reply, want)
		}
		server.Close()
		if want == evAck {
			h.CloseIdleConnections()
			if got, reply, _ := h.send(t.Context(), &letter{kind: kindAPI}); got != evUnsent {
				t.Errorf("nobody listens: %s (%s)", got, reply)
			}
		}
	}
}

func TestTaggedNoIsARefusalAndAnythingElseUnknown(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		evAck:     nil,
		evRefused: &imap.Error{Type: imap.StatusResponseTypeNo},
		evUnknown: errors.New("connection reset"),
	} {
		if got, _ := outcome(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
	if got, _ := outcome(&imap.Error{Type: imap.StatusResponseTypeBye}); got != evUnknown {
		t.Errorf("BYE is %s", got)
	}
}

func TestGateLetsClientsInOnlyWhileThereIsAServer(t *testing.T) {
	t.Parallel()
	g := newGate()
	passed := make(chan *target)
	go func() { passed <- g.pass(t.Context()) }()
	one, two := &target{life: 1}, &target{life: 2}
	g.open(one)
	if got := <-passed; got != one {
		t.Errorf("passed to %v", got)
	}
	g.shut()
	go func() { passed <- g.pass(t.Context()) }()
	g.open(two)
	if got := <-passed; got != two {
		t.Errorf("passed to %v", got)
	}
}

package webd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func TestOneAddressCannotTakeAllConnections_S14(t *testing.T) {
	t.Parallel()
	g := newGuard(nil, 5, 2, nil)
	source := func(text string) netip.Prefix {
		return sourceOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)))
	}
	for _, step := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.1:1", true},
		{"[::ffff:192.0.2.1]:2", true},
		{"192.0.2.1:3", false},
		{"[2001:db8::1]:1", true},
		{"[2001:db8::2]:1", true},
		{"[2001:db8::3]:1", false},
		{"[2001:db8:0:1::3]:1", true},
		{"127.0.0.1:1", false},
	} {
		if got := g.admit(source(step.addr)); got != step.want {
			t.Errorf("%s: %v", step.addr, got)
		}
	}
	g.leave(source("192.0.2.1:1"))
	if !g.admit(source("127.0.0.1:1")) {
		t.Error("a free place is not given")
	}
	g.leave(source("127.0.0.1:1"))
	if !g.admit(source("192.0.2.1:9")) {
		t.Error("the address did not get its place back")
	}
	for _, addr := range []string{"192.0.2.1:1", "192.0.2.1:2", "[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::3]:1"} {
		g.leave(source(addr))
	}
	if g.open != 0 || len(g.byAddr) != 0 {
		t.Errorf("%d open, %v", g.open, g.byAddr)
	}
	if sourceOf(&net.UnixAddr{}).IsValid() {
		t.Error("a unix socket has no address")
	}
}

func TestABodyThatDripsIsCutOffAndOneThatFlowsIsNot_S13(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	handler := slowBody(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}), pace{1000, 100 * time.Millisecond, time.Minute})
	srv := httptest.NewServer(handler)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the dripping body ended with %v", err)
	}
	resp, err := http.Post(srv.URL, "text/plain", bytes.NewReader(make([]byte, 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-got; err != nil {
		t.Errorf("the flowing body ended with %v", err)
	}
}

// What came fast is not saved up: it would let a body hold its place for hours.
func TestABodyThatStallsAfterALargePieceIsCutOff_S13(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	srv := httptest.NewServer(slowBody(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}), pace{1000, 100 * time.Millisecond, time.Minute}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"+strings.Repeat("x", 1_000_000)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-got:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the stalled body ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a stalled body lives on what came before")
	}
}

func TestALongAnswerIsNotCutByTheDeadlineOfItsRequest(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(slowBody(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		wait := time.NewTimer(300 * time.Millisecond)
		defer wait.Stop()
		select {
		case <-r.Context().Done():
		case <-wait.C:
			_, _ = io.WriteString(w, "whole")
		}
	}), pace{1000, 100 * time.Millisecond, time.Minute}))
	defer srv.Close()
	resp, err := http.Post(srv.URL, "text/plain", bytes.NewReader([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "whole" {
		t.Errorf("%s %v", body, err)
	}
}

func TestTheRestOfAnUnwantedBodyIsNotAwaited_S13(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(slowBody(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}), pace{1000, time.Minute, 50 * time.Millisecond}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 403")) {
		t.Errorf("%q %v", answer, err)
	}
}

func TestNoRateMeansNoDeadline(t *testing.T) {
	t.Parallel()
	called := false
	slowBody(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, rated := r.Body.(*ratedBody)
		called = !rated
	}), pace{}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte("x"))))
	if !called {
		t.Error("the body is rated")
	}
}

// A recorder has no deadlines; a handler behind one still reads its body.
func TestABodyIsReadWhereThereAreNoDeadlines(t *testing.T) {
	t.Parallel()
	var got []byte
	slowBody(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
	}), pace{1, time.Second, time.Second}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte("x"))))
	if string(got) != "x" {
		t.Errorf("read %q", got)
	}
}

func TestALargeWriteArrivesWhole(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer b.Close()
	released := make(chan struct{})
	conn := &guardedConn{Conn: a, release: func() { close(released) }}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	go func() {
		defer conn.Close()
		if n, err := conn.Write(sent); err != nil || n != len(sent) {
			t.Errorf("wrote %d, %v", n, err)
		}
		if n, err := conn.Write(nil); err != nil || n != 0 {
			t.Errorf("wrote %d, %v", n, err)
		}
	}()
	got, err := io.ReadAll(bufio.NewReader(b))
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	<-released
}

// An answer that must end soon, such as an event stream when the server stops,
// is not given the patience of others.
func TestAnAnswerMayHaveLessTimeThanTheListenerGives(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe() // nobody reads
	defer far.Close()
	c := &guardedConn{Conn: near, release: func() {}}
	defer c.Close()
	for _, set := range []func(time.Time) error{c.SetWriteDeadline, c.SetDeadline} {
		if err := set(now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte("data"))
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the listener's own limit has replaced a nearer one")
		}
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.ReadFull(far, make([]byte, 4)) }()
	if _, err := c.Write([]byte("data")); err != nil {
		t.Errorf("a deadline that was taken away still holds: %v", err)
	}
}

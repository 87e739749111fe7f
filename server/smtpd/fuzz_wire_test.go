package smtpd_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/smtpd"
)

// pipes is a listener whose connections are made by hand.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.conns) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// noErrors is a log in which an error fails the test: a panic, or an internal error.
type noErrors struct{ t *testing.T }

func (noErrors) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

func (n noErrors) Handle(_ context.Context, r slog.Record) error {
	n.t.Errorf("logged: %s", r.Message)
	r.Attrs(func(a slog.Attr) bool {
		n.t.Errorf("%s=%v", a.Key, a.Value)
		return true
	})
	return nil
}

func (n noErrors) WithAttrs([]slog.Attr) slog.Handler { return n }
func (n noErrors) WithGroup(string) slog.Handler      { return n }

// FuzzDialogue: whatever a stranger sends, the server does not panic, answers in replies only, ends, and what it has stored can
// be relayed without smuggling anything.
func FuzzDialogue(f *testing.F) {
	begin := "EHLO a\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<bob@d.test>\r\n"
	for _, seed := range []string{
		begin + "DATA\r\nx\r\n.\r\nQUIT\r\n", begin + "BDAT 5\r\nhelloBDAT 0 LAST\r\nRSET\r\n", begin + "BDAT 5\r\nhelloRSET\r\n" + begin,
		"BDAT 3\r\nabcNOOP\r\n", begin + "DATA\r\n..\n.\r\n\r.\r\r\n.\r\n.\r\n", "STARTTLS\r\n\x16\x03\x01", begin + begin, "HELO\r\nAUTH PLAIN\r\n\x00\n",
		begin + "BDAT 99999999999 LAST\r\nx", "EHLO \xff\r\nMAIL FROM:<\xff@x> SIZE=\r\n", begin + "DATA\r\n" + strings.Repeat("x", 11_000) + "\r\n.\r\n",
	} {
		f.Add([]byte(seed))
	}
	replyLine := regexp.MustCompile(`^[2345]\d\d[ -][ -~]*\r\n$`)
	certificate, _ := newCertificate(f)
	f.Fuzz(func(t *testing.T, sent []byte) {
		kept := &flow{}
		l := &pipes{conns: make(chan net.Conn, 1)}
		limits := smtpd.DefaultLimits().Lifted()
		limits.MessageBytes, limits.Stop = 20_000, time.Second
		server := smtpd.New(smtpd.Config{
			Hostname: "mx.d.test", Limits: limits, Clock: clock.System(), Logger: slog.New(noErrors{t}), Arrivals: arrivals{kept}, TLS: serverTLS(certificate),
		})
		served := make(chan error, 1)
		go func() { served <- server.Serve(t.Context(), l, smtpd.Port25) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		ours.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			ours.Write(sent)                        //nolint:errcheck // the server may have hung up
			ours.Write([]byte("\r\n.\r\nQUIT\r\n")) //nolint:errcheck // the same
			ours.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		}()
		checkReplies(t, ours, replyLine)
		ours.Close()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		for _, m := range kept.all() {
			if strings.ContainsAny(strings.ReplaceAll(m.body, "\r\n", ""), "\r\n\x00") || len(m.env.Recipients) == 0 {
				t.Errorf("stored %q for %v", m.body, m.env.Recipients)
			}
		}
	})
}

// checkReplies reads replies until the connection ends or is silent.
func checkReplies(t *testing.T, r io.Reader, form *regexp.Regexp) {
	t.Helper()
	br := bufio.NewReader(r)
	for {
		text, err := br.ReadString('\n')
		if text != "" && err == nil && !form.MatchString(text) {
			if text[0] == 0x15 || text[0] == 0x16 {
				return // TLS has begun
			}
			t.Errorf("reply %q", text)
		}
		if err != nil {
			return
		}
	}
}

package smtpd

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

// endless is a connection on which the same octets come again and again.
type endless struct {
	net.Conn
	text []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

func (e *endless) SetReadDeadline(time.Time) error { return nil }

// BenchmarkBody takes bodies of so many octets from DATA, checks them and hands them on.
func BenchmarkBody(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			line := strings.Repeat("x", 76) + "\r\n"
			text := strings.Repeat(line, size/len(line)) + ".\r\n"
			limits := DefaultLimits()
			w := newWire(&endless{text: []byte(text)}, clock.System(), &limits)
			w.body(true)
			sink := struct{ io.Writer }{io.Discard}
			buf := make([]byte, 32<<10)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				r := &body{limit: limits.MessageBytes, clean: cleaner{strict: true, maxLine: limits.LineBytes}, src: &dots{w: w}}
				if n, err := io.CopyBuffer(sink, r, buf); err != nil || !r.whole || n != int64(len(text)-len(".\r\n")) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

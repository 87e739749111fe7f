package inbound_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// BenchmarkDeliver takes letters of so many octets for one user, from RCPT to the commit.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			w := newWorld(b)
			w.user("ann@d.test")
			text := fields + "\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78)
			env := mail.Envelope{From: address(b, "x@far.test"), Recipients: []mail.Address{address(b, "ann@d.test")}}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := w.rcpt("ann@d.test"); err != nil {
					b.Fatal(err)
				}
				if _, err := w.in.Deliver(b.Context(), w.peer(), env, struct{ io.Reader }{strings.NewReader(text)}); err != nil {
					b.Fatal(err)
				}
				w.clk.Advance(time.Millisecond)
			}
		})
	}
}

package imapd

import (
	"net"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

// link is the socket with its deadlines. It lies below TLS, so that a deadline counts octets that really arrive. One goroutine
// reads and one writes; interrupt may come from any.
type link struct {
	net.Conn
	clk   clock.Clock
	write time.Duration

	mu    sync.Mutex
	until time.Time     // no read lasts longer than this; zero means no such moment
	block time.Duration // nor than this after it began; zero means no such bound
	cut   bool          // nothing is read any more
}

// expect sets how long reads may take from now on.
func (l *link) expect(until time.Time, block time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.block = until, block
}

// Read implements net.Conn.
func (l *link) Read(p []byte) (int, error) {
	l.arm()
	return l.Conn.Read(p)
}

func (l *link) arm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.until
	if l.block > 0 {
		if next := l.clk.Now().Add(l.block); at.IsZero() || next.Before(at) {
			at = next
		}
	}
	if l.cut {
		at = past()
	}
	l.Conn.SetReadDeadline(at)
}

// interrupt ends the read that is waiting and all later ones.
func (l *link) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	l.Conn.SetReadDeadline(past())
}

// Write implements net.Conn. A client that takes nothing for a while is given up.
func (l *link) Write(p []byte) (int, error) {
	l.Conn.SetWriteDeadline(l.clk.Now().Add(l.write))
	return l.Conn.Write(p)
}

// SetDeadline implements net.Conn for TLS, which must not move deadlines of ours.
func (l *link) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is SetDeadline.
func (l *link) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is SetDeadline.
func (l *link) SetWriteDeadline(time.Time) error { return nil }

// past is a moment that has passed by every clock.
func past() time.Time { return time.Unix(1, 0) }

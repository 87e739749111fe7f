package remote

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// MX is a running server. Its methods may be called from many goroutines at once.
type MX struct {
	cfg      Config
	listener net.Listener
	auth     *Authority
	creds    credentials
	journal  *journal
	done     chan struct{} // closed by Close
	running  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	changed chan struct{} // closed at the next change, nil while nobody waits
	script  Script
	used    map[string]int // steps taken of each recipient's script
	turn    int            // connections since the sessions were scripted
	state   state
	open    map[*session]bool // false for those that have said goodbye
	live    int               // how many in open have not
	records []*record         // of the newest sessions, in the order in which they came
}

// state is what is counted. Attempts and ids are of the whole life of the server.
type state struct {
	connections int
	most        int
	messages    int
	kept        int64
	attempts    map[string]int
	ids         map[string]int
	deliveries  []Delivery
}

// Delivery is a message that was accepted.
type Delivery struct {
	// From is the envelope sender, "" for the null sender; To are the recipients as they were written.
	From string
	To   []string
	// Attempts says for each of To which RCPT for it this was, from 1.
	Attempts []int
	// Params are the parameters of MAIL, such as "SIZE=123 BODY=8BITMIME".
	Params string
	// Bytes are the octets of the message without dot-stuffing and without the dot.
	Bytes []byte
	// ID is the value of Config.IDHeader, Sum the SHA-256 of Bytes in hexadecimal.
	ID, Sum string
	// TLS is the version, such as "TLS1.3", or "" in clear. User is who gave a password.
	TLS, User string
	// Session is the number of the connection, Index that of the message in it; both count from 1.
	Session, Index int
	At             time.Time
	// ReplyLost says that the script kept the reply back.
	ReplyLost bool
}

// Session is what is known about a connection.
type Session struct {
	Number int
	Remote netip.AddrPort
	// Hello is the argument of the last EHLO or HELO.
	Hello string
	// TLS is the version, such as "TLS1.3", or "" in clear; ServerName is the SNI.
	TLS, ServerName string
	User            string
	Messages        int
	// Transcript are the lines of both sides, "C: " and "S: " in front, at most 64 KiB. Messages and secrets are left out.
	Transcript string
	// Faults are what the client did wrong, in words.
	Faults []string
	Start  time.Time
	// Ended says that the connection is gone.
	Ended bool
}

// Listen starts a server. Close ends it.
func Listen(cfg Config) (*MX, error) {
	cfg.defaults()
	m := &MX{cfg: cfg, auth: cfg.Authority, done: make(chan struct{}), script: cfg.Script.clone(), open: map[*session]bool{}}
	m.used = map[string]int{}
	m.state.attempts, m.state.ids = map[string]int{}, map[string]int{}
	var err error
	if m.auth == nil {
		if m.auth, err = NewAuthority(); err != nil {
			return nil, err
		}
	}
	if m.creds, err = newCredentials(m.auth, &cfg); err != nil {
		return nil, err
	}
	if cfg.LedgerFile != "" {
		if m.journal, err = openJournal(cfg.LedgerFile); err != nil {
			return nil, fmt.Errorf("ledger of the remote server: %w", err)
		}
	}
	if m.listener, err = net.Listen("tcp", cfg.Addr); err != nil {
		if m.journal != nil {
			err = errors.Join(err, m.journal.close())
		}
		return nil, fmt.Errorf("remote server: %w", err)
	}
	m.running.Go(m.serve)
	return m, nil
}

// Close ends the listener, all sessions and the ledger file, and returns when no goroutine is left. It may be called twice.
func (m *MX) Close() error {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	if first {
		close(m.done)
		m.listener.Close()
	}
	m.mu.Unlock()
	m.Disconnect()
	m.running.Wait()
	if first && m.journal != nil {
		return m.journal.close()
	}
	return nil
}

// Disconnect ends all connections of the moment with RST.
func (m *MX) Disconnect() {
	m.mu.Lock()
	all := slices.Collect(maps.Keys(m.open))
	m.mu.Unlock()
	for _, s := range all {
		s.cut()
	}
}

// Addr is where the server listens.
func (m *MX) Addr() netip.AddrPort { return addrPort(m.listener.Addr()) }

// Authority is who signed the certificates.
func (m *MX) Authority() *Authority { return m.auth }

// Roots trusts the server's authority and nobody else.
func (m *MX) Roots() *x509.CertPool { return m.auth.Roots() }

// SetScript replaces the script. Scripted sessions and recipients begin at their first step; what is open goes on as it began.
func (m *MX) SetScript(script Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.script, m.used, m.turn = script.clone(), map[string]int{}, 0
}

// Recipient scripts one address anew and leaves the rest as it is.
func (m *MX) Recipient(address string, script ...Step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := strings.ToLower(address)
	m.script.Recipients[key] = slices.Clone(script)
	delete(m.used, key)
}

// Session scripts the connections to come anew and leaves the rest as it is.
func (m *MX) Session(script ...SessionStep) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.script.Sessions, m.script.Session, m.turn = cloneSessions(script), nil, 0
}

// Connections is how many connections have been accepted, dropped ones included.
func (m *MX) Connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.connections
}

// Open is how many connections there are.
func (m *MX) Open() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live
}

// MaxConcurrent is the most connections there have been at a time. One ends before the reply to QUIT, or when the server has
// seen that the client is gone.
func (m *MX) MaxConcurrent() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.most
}

// Count is how many messages have been accepted.
func (m *MX) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.messages
}

// Received are the accepted messages in their order; none with Config.Discard.
func (m *MX) Received() []Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.state.deliveries)
}

// IDs says how many times each message id has been accepted.
func (m *MX) IDs() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.state.ids)
}

// Attempts is how many RCPT there were for an address, accepted or not.
func (m *MX) Attempts(address string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.attempts[strings.ToLower(address)]
}

// Sessions are the newest connections, at least 10,000, in the order in which they came.
func (m *MX) Sessions() []Session {
	m.mu.Lock()
	list := slices.Clone(m.records)
	m.mu.Unlock()
	all := make([]Session, len(list))
	for i, s := range list {
		all[i] = s.snapshot()
	}
	return all
}

// Await returns nil when done says so, asked at each change of what the server counts, and the context's error before that.
func (m *MX) Await(ctx context.Context, done func() bool) error {
	for {
		m.mu.Lock()
		if m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// change wakes those who wait. The lock is held.
func (m *MX) change() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

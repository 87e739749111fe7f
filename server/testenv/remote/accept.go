package remote

import (
	"errors"
	"net"
	"slices"
	"strings"
	"time"
)

// serve accepts connections until the listener is closed.
func (m *MX) serve() {
	for {
		conn, err := m.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptor left, or the client was gone first
			if m.wait(10*time.Millisecond) != nil {
				return
			}
			continue
		}
		m.begin(conn.(*net.TCPConn))
	}
}

// wait returns an error when the server is closed before d has passed.
func (m *MX) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-m.done:
		return net.ErrClosed
	}
}

// begin counts a connection and starts its session.
func (m *MX) begin(conn *net.TCPConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		conn.Close()
		return
	}
	m.state.connections++
	m.turn++
	m.change()
	if len(m.open) >= m.cfg.MaxSessions {
		_, _ = conn.Write([]byte("421 4.3.2 too many connections\r\n"))
		conn.Close()
		return
	}
	s := newSession(m, conn, m.state.connections)
	step := m.choose()
	m.open[s] = true
	m.live++
	m.state.most = max(m.state.most, m.live)
	m.remember(&s.record)
	m.running.Go(func() {
		s.step = step()
		s.run()
		m.leave(s)
	})
}

// choose says what gives the step of the connection that is beginning. The lock is held.
func (m *MX) choose() func() SessionStep {
	ask, turn := m.script.Session, m.turn
	step := pick(m.script.Sessions, turn-1)
	switch {
	case m.script.DropAll:
		step = SessionStep{Drop: true}
	case m.script.Blackhole:
		step = SessionStep{Hang: true}
	case ask != nil:
		return func() SessionStep { return ask(turn) }
	}
	return func() SessionStep { return step }
}

// remember keeps the record of a session and lets go of the oldest ones. The lock is held.
func (m *MX) remember(r *record) {
	m.records = append(m.records, r)
	if extra := len(m.records) - maxRecords; extra > maxRecords/4 {
		m.records = slices.Clone(m.records[extra:])
	}
}

// goodbye stops counting a session that ends of its own accord, before the client can know.
func (m *MX) goodbye(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open[s] {
		m.open[s] = false
		m.live--
	}
}

func (m *MX) leave(s *session) {
	m.goodbye(s)
	s.record.end()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, s)
	m.change()
}

// recipient counts an attempt and gives its step.
func (m *MX) recipient(address string) (step Step, attempt int) {
	key := strings.ToLower(address)
	m.mu.Lock()
	if m.state.attempts[key] > 0 || len(m.state.attempts) < maxAttempts {
		m.state.attempts[key]++
	}
	attempt = m.state.attempts[key]
	m.change()
	if steps, ok := m.script.Recipients[key]; ok {
		step = pick(steps, m.used[key])
		m.used[key]++
		m.mu.Unlock()
		return step, attempt
	}
	ask := m.script.Recipient
	m.mu.Unlock()
	if ask != nil {
		step = ask(address, attempt)
	}
	return step, attempt
}

// full says whether the server can take no further message of the given size.
func (m *MX) full(size int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.messages >= m.cfg.MaxMessages || !m.cfg.Discard && m.state.kept+int64(size) > m.cfg.MaxKept
}

// accept puts a message on the ledger file, when there is one, and then into memory. Bytes are the caller's and are copied.
func (m *MX) accept(d Delivery, bytes []byte) error {
	if m.journal != nil {
		err := m.journal.add(Line{
			At: d.At, ID: d.ID, From: d.From, To: d.To, Size: len(bytes), Sum: d.Sum,
			Session: d.Session, Index: d.Index, TLS: d.TLS, User: d.User,
		})
		if err != nil {
			return err
		}
	}
	if !m.cfg.Discard {
		d.Bytes = append(make([]byte, 0, len(bytes)), bytes...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.messages++
	m.state.ids[d.ID]++
	if !m.cfg.Discard {
		m.state.kept += int64(len(bytes))
		m.state.deliveries = append(m.state.deliveries, d)
	}
	m.change()
	return nil
}

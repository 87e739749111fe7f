package smtpd

import (
	"context"
	"log/slog"
	"time"
)

// hardStop is the time that sessions get to say goodbye after they have been told to end at once.
const hardStop = 2 * time.Second

// Shutdown closes the listeners and ends all sessions: those between transactions at once, those that receive a body when it
// has been answered or after Limits.Stop, with 421 4.3.2 (I-55). It returns when all have ended, or the error of ctx when it had
// to cut connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closeEntries()
	gone := make(chan struct{})
	go func() {
		s.active.Wait()
		close(gone)
	}()
	grace := s.config.Clock.NewTimer(s.config.Limits.Stop)
	defer grace.Stop()
	s.tell(finish)
	select {
	case <-gone:
		return nil
	case <-grace.C():
	case <-ctx.Done():
	}
	s.tell(now)
	hard := s.config.Clock.NewTimer(hardStop)
	defer hard.Stop()
	select {
	case <-gone:
		return ctx.Err()
	case <-hard.C():
	}
	s.cut()
	return context.DeadlineExceeded
}

func (s *Server) register(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.entries[e] = struct{}{}
	return true
}

func (s *Server) unregister(e *entry) {
	close(e.inlet.gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, e)
}

func (s *Server) enter(session *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.sessions[session] = struct{}{}
	s.active.Add(1)
	return true
}

func (s *Server) leave(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	s.active.Done()
}

func (s *Server) closeEntries() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for e := range s.entries {
		e.listener.Close()
	}
}

// tell tells all sessions to end. At once means also that the services they wait for are told.
func (s *Server) tell(h halt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		session.wire.stop(h)
		if h == now {
			session.cancel()
		}
	}
}

// cut closes the connections of sessions that did not end.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		session.log.WarnContext(session.ctx, "smtp session cut", slog.String("reason", codeStopping))
		session.wire.raw.Close()
	}
}

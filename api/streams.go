package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// streams counts the streams that are open, and ends them when the server stops.
type streams struct {
	ending context.Context //nolint:containedctx // it is no request's: it ends with the server
	end    context.CancelFunc

	// most streams may be open, each of one credential; a user may have perUser with all sessions.
	most, each, perUser int

	mu   sync.Mutex
	open int
	held map[string]int
}

func newStreams(l config.APILimits) *streams {
	ending, end := context.WithCancel(context.Background())
	const sessions = 4
	return &streams{
		ending: ending, end: end, held: map[string]int{}, most: l.Streams, each: l.StreamsPerCredential, perUser: sessions * l.StreamsPerCredential,
	}
}

// enter takes a place for a stream until leave is called.
func (s *streams) enter(p mail.Principal) (leave func(), err error) {
	owner, credential := p.Actor(), p.Actor()+" "+p.Session.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open >= s.most:
		return nil, tooManyStreams("the server has as many event streams open as it may")
	case s.held[credential] >= s.each, !p.IsKey() && s.held[owner] >= s.perUser:
		return nil, tooManyStreams("this credential has as many event streams open as it may: close one, or use one stream for several types")
	}
	s.count(1, owner, credential)
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count(-1, owner, credential)
	}), nil
}

func (s *streams) count(n int, names ...string) {
	s.open += n
	for _, name := range names {
		if s.held[name] += n; s.held[name] == 0 {
			delete(s.held, name)
		}
	}
}

// streamsRetry is when another stream may be tried for.
const streamsRetry = 15 * time.Second

func tooManyStreams(text string) *Problem {
	p := newProblem(http.StatusTooManyRequests, "too-many-streams", text)
	p.retryAfter = streamsRetry
	return p
}

// EndStreams ends all event streams, those to come too. The server calls it when it begins to stop, so that none holds it up.
func (a *API) EndStreams() { a.streams.end() }

package mailserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	mathrand "math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Types of what a stream gives besides the events of the ledger.
const (
	// StreamTick comes with the numbers of now in Stats, and only when StreamEvents.Types names it.
	StreamTick = "stats.tick"
	// StreamReset says that the server no longer keeps what came after the last event: lists have to be read anew. The stream goes on
	// from now.
	StreamReset = "stream.reset"
)

// Bounds of connections and the pauses between them.
const (
	defaultSilence = 45 * time.Second
	// firstReconnect is the first pause when the server names none.
	firstReconnect = 2 * time.Second
	leastReconnect = 100 * time.Millisecond
	// maxReconnect is what the pauses grow up to; with the part of chance it is 30 s.
	maxReconnect = 20 * time.Second
	aDay         = 24 * time.Hour
	// steadyStream is how long a connection lasts that was a good one: the pauses begin small again.
	steadyStream = 10 * time.Second
)

// StreamEvents says what a stream gives; zero fields do not narrow it.
type StreamEvents struct {
	Types    []string // such as email.delivered, email.* and stats.tick
	Subject  string   // the id of the object that the events are about
	DomainID string
	// After is where the stream begins: the ID of the last event that was seen, or "oldest" for everything that the server keeps. Empty:
	// only what comes.
	After string
	// Silence is how long nothing may come before a connection is given up and made anew; 45 s when 0, no bound when below 0.
	Silence time.Duration
	// OnState is told each time that the stream gets a connection or has lost it.
	OnState func(StreamState)
}

// StreamState says whether a stream has a connection.
type StreamState struct {
	Open  bool
	Err   error         // why there is none
	Pause time.Duration // before the next attempt
}

// StreamEvent is what a stream gives: an entry of the ledger in Event, or the numbers of now in Stats, or neither for StreamReset.
type StreamEvent struct {
	// ID is the place after which a later stream goes on: its After. A StreamTick has none.
	ID    string
	Type  string
	Event *Event
	Stats *StatsOverview
}

// Stream gives the events as they happen. It connects again by itself whenever the connection is lost, and goes on after the last
// event that it gave. It ends when the loop over it is left, or with an error: that of the context, or one that waiting does not solve.
// What the loop does holds up the stream, and the server leaves those who do not read for long. Neither WithTimeout nor the Timeout of
// an HTTP client cuts it.
func (e Events) Stream(ctx context.Context, f StreamEvents, options ...CallOption) iter.Seq2[StreamEvent, error] {
	return func(yield func(StreamEvent, error) bool) {
		s := &stream{api: e.api, filter: f, options: options, last: f.After, retry: firstReconnect}
		switch {
		case f.Silence == 0:
			s.filter.Silence = defaultSilence
		case f.Silence < 0:
			s.filter.Silence = math.MaxInt64
		}
		if err := s.run(ctx, yield); err != nil {
			yield(StreamEvent{}, err)
		}
	}
}

// stream is one walk along a stream, with as many connections as it takes.
type stream struct {
	api      *api.ClientWithResponses
	filter   StreamEvents
	options  []CallOption
	last     string // the id of the last event
	resumes  bool   // last comes from the server
	opened   bool
	retry    time.Duration
	failures int
}

var (
	errLeft      = errors.New("the loop was left")
	errBroken    = errors.New("the stream broke off")
	errSilent    = errors.New("the server sent nothing in time")
	errStream    = errors.New("this is no event stream of a mailserver")
	errStreamEnd = errors.New("the server ended the stream")
)

// streamEndError is why the server ended a stream.
type streamEndError struct{ code string }

func (e *streamEndError) Error() string { return errStreamEnd.Error() + ": " + e.code }

func (e *streamEndError) Unwrap() error { return errStreamEnd }

// run connects again and again. It gives nil when the loop was left.
func (s *stream) run(ctx context.Context, yield func(StreamEvent, error) bool) error {
	for ; ; s.failures++ {
		err := s.connection(ctx, yield)
		switch {
		case errors.Is(err, errLeft):
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("the stream of events: %w", ctx.Err())
		case !s.passes(err):
			return err
		case s.failures == 0 && !tired(err):
			continue
		}
		pause := s.pause(err)
		s.tell(StreamState{Err: err, Pause: pause})
		if err := wait(ctx, pause); err != nil {
			return fmt.Errorf("the stream of events: %w", err)
		}
	}
}

// connection gives what one connection brings, and why it ended.
func (s *stream) connection(ctx context.Context, yield func(StreamEvent, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watched{limit: s.filter.Silence}
	w.timer = time.AfterFunc(w.limit, func() { cancel(fmt.Errorf("%w (%s)", errSilent, w.limit)) })
	defer w.timer.Stop()
	body, err := s.open(ctx)
	if err != nil {
		return because(ctx, err)
	}
	defer body.Close()
	w.timer.Stop()
	w.src, s.opened = body, true
	s.tell(StreamState{Open: true})
	begin := time.Now()
	r := newBlockReader(w)
	err = s.read(r, yield)
	if time.Since(begin) >= steadyStream {
		s.failures = 0
	}
	if r.retry >= 0 {
		s.retry = r.retry
	}
	return because(ctx, err)
}

// because tells the end of a connection's time from other ends.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		return cause
	}
	return err
}

// open connects. The headers are those of this attempt, whatever the caller's options say.
func (s *stream) open(ctx context.Context) (io.ReadCloser, error) {
	params := &api.StreamEventsParams{Subject: given(s.filter.Subject), DomainID: given(s.filter.DomainID)}
	if len(s.filter.Types) > 0 {
		params.Type = &s.filter.Types
	}
	if !s.resumes {
		params.After = given(s.last)
	}
	res, err := s.api.StreamEvents(with(ctx, s.options, streamed, endless, func(c *call) {
		c.header.Set("Accept", "text/event-stream")
		c.header.Set("Accept-Encoding", "identity")
		if s.resumes && s.last != "" {
			c.header.Set("Last-Event-ID", s.last)
		}
	}), params)
	if err != nil {
		return nil, err
	}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || media != "text/event-stream" || res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("%w: the server answered %d with %q: is the URL that of a mailserver?", errStream, res.StatusCode, res.Header.Get("Content-Type"))
	}
	return res.Body, nil
}

// read gives the events of a connection to the loop until it ends.
func (s *stream) read(r *blockReader, yield func(StreamEvent, error) bool) error {
	for {
		b, err := r.next()
		if err != nil && !errors.Is(err, errBlockTooLong) {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		if err != nil {
			return err
		}
		if b.hasID {
			s.last, s.resumes = b.id, true
		}
		switch {
		case b.kind == "stream.end":
			return endOf(b)
		case !b.hasData, strings.HasPrefix(b.kind, "stream.") && b.kind != StreamReset:
			continue
		}
		event, err := b.event()
		if err != nil {
			return err
		}
		if !yield(event, nil) {
			return errLeft
		}
	}
}

// event reads the data of a block.
func (b block) event() (StreamEvent, error) {
	event := StreamEvent{ID: b.id, Type: b.kind}
	var err error
	switch b.kind {
	case StreamReset:
	case StreamTick:
		err = json.Unmarshal(b.data, &event.Stats)
	default:
		err = json.Unmarshal(b.data, &event.Event)
	}
	if err != nil {
		return StreamEvent{}, &malformedError{fmt.Errorf("the data of an event of the type %q: %w", b.kind, err)}
	}
	return event, nil
}

// malformedError is about an event that would come again with every connection.
type malformedError struct{ error }

func (e *malformedError) Unwrap() error { return e.error }

func endOf(b block) error {
	var why struct{ Code string }
	if json.Unmarshal(b.data, &why) != nil || why.Code == "" {
		return errStreamEnd
	}
	return &streamEndError{why.Code}
}

// tired reports whether the server needs a pause. After other ends, that of a token for example, the next stream or the problem comes
// at once.
func tired(err error) bool {
	var end *streamEndError
	return !errors.As(err, &end) || slices.Contains([]string{"shutdown", CodeUnavailable}, end.code)
}

// passes reports whether waiting may help. An answer that no mailserver gave may pass, from where one was before.
func (s *stream) passes(err error) bool {
	var (
		p         *Problem
		malformed *malformedError
		untrusted *tls.CertificateVerificationError
		failed    *url.Error
	)
	switch {
	case errors.As(err, &p):
		return p.Status >= http.StatusInternalServerError || s.opened && p.Code == "" ||
			slices.Contains([]int64{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, p.Status)
	case errors.Is(err, errStream):
		return s.opened
	case errors.Is(err, errBlockTooLong), errors.As(err, &malformed), errors.As(err, &untrusted):
		return false
	}
	return errors.As(err, &failed) || slices.ContainsFunc([]error{errTimeout, errSilent, errBroken, errStreamEnd}, func(e error) bool { return errors.Is(err, e) })
}

// pause doubles from what the server asks for; a part of it is chance, so that many clients do not come back together.
func (s *stream) pause(err error) time.Duration {
	first := min(max(s.retry, leastReconnect), aDay)
	grown := max(first, min(first<<min(s.failures, 10), maxReconnect))
	pause := grown
	var p *Problem
	if errors.As(err, &p) {
		pause = max(pause, min(p.RetryAfter, aDay))
	}
	return pause + mathrand.N(grown/2) //nolint:gosec // no secret
}

func (s *stream) tell(state StreamState) {
	if s.filter.OnState != nil {
		s.filter.OnState(state)
	}
}

// watched is the body of a stream. Each read has its time; that of the loop does not count.
type watched struct {
	src   io.Reader
	timer *time.Timer // ends the connection
	limit time.Duration
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	defer w.timer.Stop()
	return w.src.Read(p)
}

package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// frame is one server-sent event, or a comment.
type frame struct{ id, event, data, comment string }

// listener reads a stream.
type listener struct {
	t      *testing.T
	header http.Header
	in     *bufio.Reader
	close  func()
	last   string // the newest id
}

const patience = 30 * time.Second

// open begins a stream, which must be given.
func (e *env) open(token, path string, headers ...string) *listener {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	l := &listener{t: e.t, header: res.Header, in: bufio.NewReader(res.Body), close: func() { cancel(); res.Body.Close() }}
	e.t.Cleanup(l.close)
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		e.t.Fatalf("%s: %d %s", path, res.StatusCode, text)
	}
	return l
}

// begin is open after the first event.
func (e *env) begin(token, path string, headers ...string) *listener {
	e.t.Helper()
	l := e.open(token, path, headers...)
	if f := l.next(); f.event != "stream.open" || f.id == "" || f.data != "{}" {
		e.t.Fatalf("the stream begins with %+v", f)
	}
	return l
}

// raw reads the lines up to the next empty one.
func (l *listener) raw() (string, error) {
	var text strings.Builder
	for {
		line, err := l.in.ReadString('\n')
		text.WriteString(line)
		if err != nil || line == "\n" {
			return text.String(), err
		}
	}
}

func (l *listener) next() frame {
	l.t.Helper()
	text, err := l.raw()
	if err != nil {
		l.t.Fatalf("the stream broke off: %v after %q", err, text)
	}
	var f frame
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			f.id, l.last = value, value
		case "event":
			f.event = value
		case "data":
			f.data = value
		case "":
			f.comment = value
		}
	}
	return f
}

// event reads the next event of the ledger.
func (l *listener) event() api.Event {
	l.t.Helper()
	f := l.next()
	var e api.Event
	if err := json.Unmarshal([]byte(f.data), &e); err != nil || e.Type != f.event || f.id == "" {
		l.t.Fatalf("no event: %+v (%v)", f, err)
	}
	return e
}

// tick reads the next stats.tick.
func (l *listener) tick() api.StatsOverview {
	l.t.Helper()
	f := l.next()
	var o api.StatsOverview
	if err := json.Unmarshal([]byte(f.data), &o); err != nil || f.event != "stats.tick" || f.id != "" {
		l.t.Fatalf("no tick: %+v (%v)", f, err)
	}
	return o
}

// ends reads on to the end and gives its code.
func (l *listener) ends() string {
	l.t.Helper()
	for {
		f := l.next()
		if f.event != "stream.end" {
			continue
		}
		if _, err := l.raw(); !errors.Is(err, io.EOF) {
			l.t.Fatalf("the stream goes on after its end: %v", err)
		}
		var end api.StreamEnd
		if err := json.Unmarshal([]byte(f.data), &end); err != nil || f.id != "" {
			l.t.Fatalf("%+v %v", f, err)
		}
		return end.Code
	}
}

func firstFrame(t *testing.T, body io.Reader) []byte {
	t.Helper()
	l := &listener{t: t, in: bufio.NewReader(body)}
	text, err := l.raw()
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

// happen appends events to the ledger and announces them.
func (e *env) happen(events ...event.Event) {
	e.t.Helper()
	if err := event.Append(e.t.Context(), e.pool, time.Now(), events...); err != nil {
		e.t.Fatal(err)
	}
	e.settle()
	e.events.Wake()
}

// settle waits until no transaction hides what was appended; those of other tests count too.
func (e *env) settle() {
	e.t.Helper()
	for visible := false; !visible; {
		err := e.pool.QueryRow(e.t.Context(), `
SELECT coalesce((SELECT max(xid) FROM event) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM pg_sleep(0.002)`,
			pgx.QueryExecModeSimpleProtocol).Scan(&visible)
		if err != nil {
			e.t.Fatal(err)
		}
	}
}

func domainID(t *testing.T, text string) mail.DomainID {
	t.Helper()
	var id mail.DomainID
	if err := id.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return id
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// The outcomes of an operation. An operation without a line for its outcome is unknown.
const (
	evIntent  = "intent"
	evAck     = "ack"     // the reply said yes
	evRefused = "refused" // the reply said no
	evUnsent  = "unsent"  // the connection broke before the last byte was sent
	evUnknown = "unknown" // the connection broke later
	evSeen    = "seen"    // no operation: IMAP showed a message that had arrived
	evTold    = "told"    // no operation: a no at the greeting, at the sign-in or to a reading
)

// The kinds of operations.
const (
	kindSMTP       = "smtp"
	kindSubmission = "submission"
	kindAPI        = "api"
	kindAppend     = "append"
	kindStore      = "store"
	kindCopy       = "copy"
	kindMove       = "move"
	kindExpunge    = "expunge"
	kindSelect     = "select"
	kindClaim      = "claim"

	kindGreeting = "greeting" // of SMTP, up to the EHLO
	kindAuth     = "auth"     // of SMTP
	kindLogin    = "login"    // of IMAP
	kindRead     = "read"     // FETCH
	kindGet      = "get"      // of the API
)

// kinds lists what the table shows, in its order. A SELECT changes nothing and is not counted.
func kinds() []string {
	return []string{kindSMTP, kindSubmission, kindAPI, kindAppend, kindStore, kindCopy, kindMove, kindExpunge}
}

// entry is one line of the ledger.
type entry struct {
	N     int64     `json:"n"` // counts from 1, in the order of events
	At    time.Time `json:"at"`
	Event string    `json:"event"`
	Op    int64     `json:"op,omitempty"` // of an outcome: the N of its intent
	Kind  string    `json:"kind"`
	Site  string    `json:"site"`          // which server
	Who   string    `json:"who"`           // the client
	Life  int       `json:"life"`          // of the server: which start
	Try   int       `json:"try,omitempty"` // of the same letter

	ID         string   `json:"id,omitempty"` // of the letter
	Sum        string   `json:"sum,omitempty"`
	From       string   `json:"from,omitempty"`
	Recipients []string `json:"recipients,omitempty"`
	Key        string   `json:"key,omitempty"`      // Idempotency-Key
	EmailID    string   `json:"email_id,omitempty"` // of the answer 202

	Account  string   `json:"account,omitempty"`
	Mailbox  string   `json:"mailbox,omitempty"`
	UID      uint32   `json:"uid,omitempty"`
	To       string   `json:"to,omitempty"`     // target mailbox
	ToUID    uint32   `json:"to_uid,omitempty"` // UID there, from APPENDUID or COPYUID
	Flags    []string `json:"flags,omitempty"`  // all that the message then has
	Validity uint32   `json:"validity,omitempty"`
	Next     uint32   `json:"next,omitempty"` // UIDNEXT

	Reply string `json:"reply,omitempty"`
	// Step is the command of SMTP that got the reply: mail, rcpt, data, or dot. Before the dot nothing can have been accepted.
	Step string `json:"step,omitempty"`
}

// ledger is the file. An entry is on stable storage when its call returns; calls that wait at the same time share one sync.
type ledger struct {
	file *os.File
	in   chan pending
	done chan struct{}

	mu     sync.Mutex // held while an entry is handed over, so that close comes after
	closed bool

	failMu sync.Mutex
	err    error
}

type pending struct {
	e       *entry
	written chan struct{}
}

// batchMost bounds how many entries share a sync.
const batchMost = 64

func openLedger(path string) (*ledger, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	l := &ledger{file: file, in: make(chan pending, batchMost), done: make(chan struct{})}
	go l.write()
	return l, nil
}

// add writes an entry and gives its number. After a failure of the disk it gives 0; see failure.
func (l *ledger) add(e entry) int64 {
	p := pending{e: &e, written: make(chan struct{})}
	l.mu.Lock()
	if l.closed || l.failure() != nil {
		l.mu.Unlock()
		return 0
	}
	l.in <- p
	l.mu.Unlock()
	<-p.written
	return e.N
}

// failure is why entries cannot be written any more.
func (l *ledger) failure() error {
	l.failMu.Lock()
	defer l.failMu.Unlock()
	return l.err
}

// close ends the file. It may be called twice.
func (l *ledger) close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.in)
	}
	l.mu.Unlock()
	<-l.done
	return l.failure()
}

// write numbers the entries in the order in which they came, writes what waits, and syncs once.
func (l *ledger) write() {
	defer close(l.done)
	defer func() { l.broken(l.file.Close()) }()
	var n int64
	for p := range l.in {
		batch := []pending{p}
		for len(batch) < batchMost && len(l.in) > 0 {
			batch = append(batch, <-l.in)
		}
		var text bytes.Buffer
		for _, p := range batch {
			n++
			p.e.N, p.e.At = n, time.Now().UTC()
			line, err := json.Marshal(p.e)
			l.broken(err)
			text.Write(append(line, '\n'))
		}
		_, err := l.file.Write(text.Bytes())
		l.broken(err)
		l.broken(l.file.Sync())
		for _, p := range batch {
			close(p.written)
		}
	}
}

func (l *ledger) broken(err error) {
	if err == nil {
		return
	}
	l.failMu.Lock()
	defer l.failMu.Unlock()
	l.err = errors.Join(l.err, err)
}

// operation is an intent with its outcome, or something seen.
type operation struct {
	entry // of the intent, with UID, ToUID and so on of the outcome

	outcome string
	took    time.Duration // until an outcome
	end     int64         // the number of the outcome's entry; for an unknown outcome without an entry the largest number
}

// during says that the operation was under way in the span. One without an outcome may have ended at any time.
func (op *operation) during(s span) bool {
	ended := op.At.Add(op.took)
	return !op.At.After(s.to) && (!ended.Before(s.from) || op.outcome == evUnknown && op.took == 0)
}

// readLedger gives the operations in the order of their intents.
func readLedger(path string) ([]*operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseLedger(file)
}

func parseLedger(r io.Reader) ([]*operation, error) {
	var all []*operation
	open := map[int64]*operation{}
	lines := bufio.NewReader(r)
	var last int64
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // a line without an end was never acknowledged to the client
		}
		if err != nil {
			return nil, err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("entry after %d: %w", last, err)
		}
		if e.N != last+1 {
			return nil, fmt.Errorf("entry %d follows %d", e.N, last)
		}
		last = e.N
		if err := collect(&all, open, e); err != nil {
			return nil, err
		}
	}
	for _, op := range open {
		op.end = last + 1
	}
	return all, nil
}

// collect joins an outcome with its intent.
func collect(all *[]*operation, open map[int64]*operation, e entry) error {
	switch e.Event {
	case evIntent:
		op := &operation{entry: e, outcome: evUnknown}
		*all, open[e.N] = append(*all, op), op
		return nil
	case evSeen, evTold:
		*all = append(*all, &operation{entry: e, outcome: e.Event, end: e.N})
		return nil
	}
	op := open[e.Op]
	if op == nil {
		return fmt.Errorf("entry %d ends operation %d, which is not open", e.N, e.Op)
	}
	delete(open, e.Op)
	op.outcome, op.end, op.took, op.Reply, op.Step, op.EmailID = e.Event, e.N, e.At.Sub(op.At), e.Reply, e.Step, e.EmailID
	op.ToUID, op.Validity, op.Next = e.ToUID, e.Validity, e.Next
	if e.UID != 0 {
		op.UID = e.UID
	}
	return nil
}

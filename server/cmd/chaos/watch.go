package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
)

// watcher finds out when every way of mail works again, by letters of its own, which are in the ledger like all others, and
// whether people can still read and remove mail.
type watcher struct {
	arriving, submitting *client
	posting              *sender
	filing               *mailClient
}

// stored is a message that the watcher wants to read, and what it must hold.
type stored struct {
	*owned

	sum string
}

func (l *load) watcher() *watcher {
	const stream = 1 << 41
	w := &watcher{arriving: l.client("wa", stream), submitting: l.client("ws", stream+1), posting: &sender{client: l.client("wp", stream+2)}}
	w.filing = &mailClient{client: l.client("wi", stream+3), folders: []string{"chaos-watch-" + l.site, "chaos-watched-" + l.site}}
	return w
}

// comeback is how the server came back after it had lacked something.
type comeback struct {
	// Ways gives the seconds until something was acknowledged, by the way it came.
	Ways map[string]float64 `json:"back_seconds"`
	// Slowest is the greatest of them; 0 when a way did not come back.
	Slowest float64 `json:"back_slowest_seconds"`
	// Failed lists the parts that /health/detailed called failed meanwhile, and Healthy is when it was content again.
	Failed  []string `json:"health_failed"`
	Healthy float64  `json:"health_ok_seconds"`
}

// comebackWithin is when the wait for a way is given up.
const comebackWithin = 60 * time.Second

// await returns when each way of mail has worked since begin, and says which did not come back.
func (w *watcher) await(ctx context.Context, t *target, begin time.Time) (comeback, error) {
	ctx, cancel := context.WithTimeout(ctx, comebackWithin)
	defer cancel()
	back := comeback{Ways: map[string]float64{}}
	var errs [ways + 1]error
	var took [ways]time.Duration
	var wait sync.WaitGroup
	for way := range ways {
		wait.Go(func() {
			errs[way] = w.until(ctx, t, way)
			took[way] = time.Since(begin)
		})
	}
	wait.Go(func() { errs[ways] = back.watchHealth(ctx, t, begin) })
	wait.Wait()
	for way := range ways {
		if errs[way] == nil {
			back.Ways[wayName(way)] = round(took[way])
			back.Slowest = max(back.Slowest, round(took[way]))
		}
	}
	return back, errors.Join(errs[:]...)
}

// until tries one way until something is acknowledged.
func (w *watcher) until(ctx context.Context, t *target, way int) error {
	c := [ways]*client{w.arriving, w.submitting, w.posting.client, w.filing.client}[way]
	try := [ways]func(context.Context, *target) error{w.arrive, w.submit, w.post, w.file}[way]
	for before := c.taken; ; {
		err := try(ctx, t)
		switch {
		case c.taken > before:
			return nil
		case !pause(ctx, breath):
			return fmt.Errorf("%s did not work again within %s: %w", wayName(way), comebackWithin, noReason(err))
		}
	}
}

func noReason(err error) error {
	if err == nil {
		return errors.New("refused")
	}
	return err
}

func (w *watcher) arrive(ctx context.Context, t *target) error {
	s, err := dialSMTP(ctx, t.Listen["smtp"])
	if err != nil {
		return err
	}
	defer s.Close()
	return w.arriving.mail(s, t, w.arriving.newArrival(t))
}

func (w *watcher) submit(_ context.Context, t *target) error {
	s, err := w.submitting.dialSubmission(t, t.Users[0])
	if err != nil {
		return err
	}
	defer s.Close()
	return w.submitting.mail(s, t, w.submitting.newSubmission(t, t.Users[0]))
}

// post reads something before it sends.
func (w *watcher) post(ctx context.Context, t *target) error {
	h := newHTTP(t)
	defer h.CloseIdleConnections()
	if err := w.list(ctx, h, t); err != nil {
		return err
	}
	if outcome, reply := w.posting.once(ctx, h, t, w.posting.newEmail(t)); outcome != evAck {
		return errors.New(reply)
	}
	return nil
}

// list reads through the API.
func (w *watcher) list(ctx context.Context, h *caller, t *target) error {
	_, err := h.rawOnce(ctx, "/users?limit=1")
	var status *statusError
	if asStatus(err, &status) {
		w.posting.told(t, kindGet, fmt.Sprintf("%d %s", status.code, status.body))
	}
	return err
}

// file signs in, appends, and reads what it has appended.
func (w *watcher) file(_ context.Context, t *target) error {
	s, err := w.session(t)
	if err != nil {
		return err
	}
	defer s.close()
	before := len(s.messages)
	if err := s.append(); err != nil || len(s.messages) == before {
		return err
	}
	m := s.messages[before]
	s.drop(m)
	_, err = s.fetch(m)
	return err
}

func (w *watcher) session(t *target) (*imapSession, error) {
	w.filing.user = t.Users[0]
	return w.filing.dial(t)
}

// fetch reads the whole message and gives its sum.
func (s *imapSession) fetch(m *owned) (string, error) {
	if err := s.open(m.mailbox); err != nil {
		return "", err
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	list, err := s.conn.Fetch(imap.UIDSetNum(m.uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	switch {
	case err != nil:
		return "", s.heard(kindRead, err)
	case len(list) != 1:
		return "", fmt.Errorf("FETCH of %s uid %d shows %d messages", m.mailbox, m.uid, len(list))
	}
	return tailSum(list[0].FindBodySection(whole)), nil
}

// store appends messages to be read and removed later.
func (w *watcher) store(t *target, n int) ([]stored, error) {
	s, err := w.session(t)
	if err != nil {
		return nil, err
	}
	defer s.close()
	list := make([]stored, 0, n)
	for range n {
		p := compose(s.dice, s.nextID(), s.user.Email, []string{s.user.Email})
		m, err := s.put(p, s.folders[0], nil)
		if err != nil || m == nil {
			return nil, fmt.Errorf("append something to be read later: %w", noReason(err))
		}
		list = append(list, stored{m, p.sum})
	}
	return list, nil
}

// readAndRemove reads one message, expunges another, and lists through the API. Each has to work.
func (w *watcher) readAndRemove(ctx context.Context, t *target, read, remove stored) error {
	s, err := w.session(t)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	defer s.close()
	sum, err := s.fetch(read.owned)
	switch {
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case sum != read.sum:
		return fmt.Errorf("read: %s has other bytes than were appended", read.id)
	}
	before := s.taken
	if err := s.expunge(remove.owned); err != nil || s.taken < before+2 { // STORE and EXPUNGE
		return fmt.Errorf("remove: %w", noReason(err))
	}
	h := newHTTP(t)
	defer h.CloseIdleConnections()
	if err := w.list(ctx, h, t); err != nil {
		return fmt.Errorf("list over the API: %w", err)
	}
	return nil
}

// health is what /health/detailed says.
type health struct {
	Components map[string]string `json:"components"`
}

// watchHealth asks until the server is content again.
func (b *comeback) watchHealth(ctx context.Context, t *target, begin time.Time) error {
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	failed := map[string]bool{}
	for {
		h, code, err := askHealth(ctx, client, strings.TrimSuffix(t.APIURL, "/v1")+"/health/detailed")
		for name, state := range h.Components {
			if state != "ok" {
				failed[name] = true
			}
		}
		b.Failed = sortedKeys(failed)
		if err == nil && code == http.StatusOK {
			b.Healthy = round(time.Since(begin))
			return nil
		}
		if !pause(ctx, breath) {
			return fmt.Errorf("/health/detailed still says %d, %v after %s: %w", code, h.Components, comebackWithin, noReason(err))
		}
	}
}

func askHealth(ctx context.Context, client *http.Client, url string) (health, int, error) {
	var h health
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return h, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return h, 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil {
		err = json.Unmarshal(raw, &h)
	}
	return h, resp.StatusCode, err
}

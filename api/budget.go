package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Bounds of all bodies when the configuration names none.
const (
	mostBody   = 10 << 20
	mostBodies = 128 << 20
)

// The reasons for which there is no room for a body now.
var (
	errBusy  = errors.New("too many large requests at once")
	errShare = errors.New("too many large requests of one credential at once")
)

// budget bounds the bytes of all request bodies that are being held at once, and of those of one owner. The last of it is kept for
// small bodies, so that those who send large ones shut out nobody else.
type budget struct {
	mu          sync.Mutex
	total, left int64
	share       int64
	owners      map[string]int64
}

// newBudget gives a budget of size bytes, of which one owner has a quarter, and at least enough for one of the largest bodies.
func newBudget(size, largest int64) *budget {
	if size <= 0 {
		size = mostBodies
	}
	return &budget{total: size, left: size, share: max(size/4, largest), owners: map[string]int64{}}
}

// take makes room for n more bytes of a body of which held bytes are held.
func (b *budget) take(owner string, held, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.owners[owner]+n > b.share:
		return errShare
	case n > b.left-b.reserve(held+n):
		return errBusy
	}
	b.left -= n
	b.owners[owner] += n
	return nil
}

// reserve is what a body of this size must leave to smaller ones: the last of the room is for sign-ins.
func (b *budget) reserve(size int64) int64 {
	switch {
	case size > defaultBody:
		return b.total / 8
	case size > publicBody:
		return b.total / 64
	}
	return 0
}

func (b *budget) give(owner string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
	if b.owners[owner] -= n; b.owners[owner] <= 0 {
		delete(b.owners, owner)
	}
}

// bodyReader holds a body to its bounds while it is read. What is read is counted against the budget, when there is one: a body
// takes no room before it has arrived, nor before its sender was recognised, for only then is it read.
type bodyReader struct {
	body   io.Reader
	budget *budget
	owner  string
	until  time.Time // the end of the request's time; zero for none
	held   int64
}

type bodyKey struct{}

// charge says whose body it is, and until when it is waited for. It is called before anything of the body is read.
func charge(ctx context.Context, owner string) {
	if body, ok := ctx.Value(bodyKey{}).(*bodyReader); ok {
		body.owner = owner
		body.until, _ = ctx.Deadline()
	}
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	//nolint:forbidigo // the time of a connection, which knows only the machine's clock
	if !r.until.IsZero() && time.Now().After(r.until) {
		r.release()
		return 0, os.ErrDeadlineExceeded
	}
	n, err := r.body.Read(p)
	if r.budget == nil {
		return n, err
	}
	if n > 0 {
		if err := r.budget.take(r.owner, r.held, int64(n)); err != nil {
			r.release()
			return 0, err
		}
	}
	r.held += int64(n)
	return n, err
}

// Close implements io.Closer. It does nothing: closing would wait for the rest of a body that was refused, and the server closes
// it after the answer.
func (*bodyReader) Close() error { return nil }

func (r *bodyReader) release() {
	if r.budget != nil {
		r.budget.give(r.owner, r.held)
		r.held = 0
	}
}

// bounded refuses bodies above the largest size, before reading them when they say how large they are, and counts all that are
// held in memory against the budget.
func (a *API) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most, upload := a.bodyBound(r)
		if r.ContentLength > most {
			writeProblem(w, r, tooLarge())
			return
		}
		body := &bodyReader{body: http.MaxBytesReader(w, r.Body, most)}
		if !upload {
			body.budget = a.budget
		}
		defer body.release()
		r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, body))
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

// maxBody is the largest JSON body of any operation but a batch.
func (a *API) maxBody() int64 {
	if n := int64(a.Limits.API.BodyBytes); n > 0 {
		return n
	}
	return mostBody
}

func tooLarge() *Problem {
	return newProblem(http.StatusRequestEntityTooLarge, "body-too-large", "the body is larger than this operation takes")
}

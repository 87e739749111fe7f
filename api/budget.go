package api

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// Bounds of all bodies when the configuration names none.
const (
	mostBody   = 10 << 20
	mostBodies = 128 << 20
)

// errBusy ends the reading of a body for which there is no room now.
var errBusy = errors.New("too many large requests at once")

// budget bounds the bytes of all request bodies that are being held at once.
type budget struct {
	mu   sync.Mutex
	left int64
}

func newBudget(size int64) *budget {
	if size <= 0 {
		size = mostBodies
	}
	return &budget{left: size}
}

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}

// budgetReader counts what is read against the budget. So a body takes no room before it has arrived, nor before its sender was
// recognised, for only then is it read.
type budgetReader struct {
	body   io.Reader
	budget *budget
	held   int64
}

// Read implements io.Reader.
func (r *budgetReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if n > 0 && !r.budget.take(int64(n)) {
		r.release()
		return 0, errBusy
	}
	r.held += int64(n)
	return n, err
}

// Close implements io.Closer. It does nothing: closing would wait for the rest of a body that was refused, and the server closes
// it after the answer.
func (*budgetReader) Close() error { return nil }

func (r *budgetReader) release() {
	r.budget.give(r.held)
	r.held = 0
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
		if upload {
			r.Body = http.MaxBytesReader(w, r.Body, most)
			next.ServeHTTP(w, r)
			return
		}
		body := &budgetReader{body: http.MaxBytesReader(w, r.Body, most), budget: a.budget}
		defer body.release()
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

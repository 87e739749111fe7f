package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Room gives how many bytes of bodies may still come.
func (a *API) Room() int64 {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	return a.budget.left
}

// Document gives the polished document as values.
func Document() (*huma.OpenAPI, error) {
	a, err := New(Deps{})
	if err != nil {
		return nil, err
	}
	polish(a.huma.OpenAPI())
	return a.huma.OpenAPI(), nil
}

// The helpers that fuzz targets try.
var (
	OpenCursor = openCursor
	SealCursor = sealCursor
	TooDeep    = tooDeep
	Elements   = elements
	Shapely    = shapely
)

// NewBudget gives a budget alone.
func NewBudget(size, largest int64) *budget { return newBudget(size, largest) }

// Take is take.
func (b *budget) Take(owner string, held, n int64) error { return b.take(owner, held, n) }

// ReadUntil reads a body of one octet that may arrive until then.
func ReadUntil(until time.Time) error {
	_, err := (&bodyReader{body: strings.NewReader("x"), until: until}).Read(make([]byte, 1))
	return err
}

// Flood writes events to a client until that fails, each write bounded by stall.
func Flood(w http.ResponseWriter, stall time.Duration) error {
	f := newFrames(w)
	f.stall = stall
	for f.err == nil {
		f.frame("x.y", "id", strings.Repeat("x", 1000))
	}
	return f.err
}

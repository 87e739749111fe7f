package api

import "github.com/danielgtaylor/huma/v2"

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
)

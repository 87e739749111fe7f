package api

import "github.com/danielgtaylor/huma/v2"

// Document gives the polished document as values.
func Document() (*huma.OpenAPI, error) {
	a, err := New(Deps{})
	if err != nil {
		return nil, err
	}
	polish(a.huma.OpenAPI())
	return a.huma.OpenAPI(), nil
}

package api

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// negotiate refuses bodies of types that the operation does not take, and answers of types that it does not give, before
// anything is read or done.
func (a *API) negotiate(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if isUpload(op) {
		if _, err := outbound.BlobType(ctx.Header("Content-Type")); err != nil {
			a.refuse(ctx, newProblem(http.StatusUnsupportedMediaType, "unsupported-media-type", "Content-Type "+fault.Public(err)))
			return
		}
	} else if given := mediaType(ctx.Header("Content-Type")); op.RequestBody != nil && given != "" && !slices.Contains(takes(op), given) {
		a.refuse(ctx, newProblem(http.StatusUnsupportedMediaType, "unsupported-media-type", "send the body as application/json"))
		return
	}
	if !acceptable(ctx.Header("Accept"), gives(op)) {
		a.refuse(ctx, newProblem(http.StatusNotAcceptable, "not-acceptable", "accept "+strings.Join(gives(op), " or ")))
		return
	}
	next(ctx)
}

// takes lists the media types of an operation's body.
func takes(op *huma.Operation) []string {
	if op.Method == http.MethodPatch {
		return []string{"application/json", mergePatch}
	}
	return []string{"application/json"}
}

// gives lists the media types of an operation's success.
func gives(op *huma.Operation) []string {
	if answer := op.Responses["200"]; answer != nil && len(answer.Content) > 0 {
		var out []string
		for name := range answer.Content {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	return []string{"application/json"}
}

func mediaType(header string) string {
	name, _, _ := strings.Cut(header, ";")
	return strings.ToLower(strings.TrimSpace(name))
}

// acceptable reports whether an Accept header allows one of the types (RFC 9110 §12.5.1). Parts, whose type is the sender's, can
// be had with any range.
func acceptable(accept string, types []string) bool {
	if strings.TrimSpace(accept) == "" || slices.Contains(types, "application/octet-stream") {
		return true
	}
	for item := range strings.SplitSeq(accept, ",") {
		wanted := mediaType(item)
		if refused(item) {
			continue
		}
		for _, have := range append(slices.Clone(types), "application/problem+json") {
			major, _, _ := strings.Cut(have, "/")
			if wanted == have || wanted == major+"/*" || wanted == "*/*" {
				return true
			}
		}
	}
	return false
}

// refused reports whether a range has the weight 0.
func refused(item string) bool {
	_, params, _ := strings.Cut(item, ";")
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if q, err := strconv.ParseFloat(value, 64); strings.EqualFold(name, "q") && err == nil && q == 0 {
			return true
		}
	}
	return false
}

// formats reads and writes JSON.
func formats() map[string]huma.Format {
	format := huma.Format{
		Marshal: func(w io.Writer, v any) error {
			enc := json.NewEncoder(w)
			enc.SetEscapeHTML(false)
			return enc.Encode(v)
		},
		Unmarshal: func(data []byte, v any) error {
			if err := shapely(data); err != nil {
				return err
			}
			return json.Unmarshal(data, v)
		},
	}
	return map[string]huma.Format{"application/json": format, "json": format}
}

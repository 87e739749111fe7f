package webd

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/mailserver-dev/mailserver/server/obs"
)

// problem is the body of an error (RFC 9457 §3), with our code and request id.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	RequestID string `json:"request_id,omitempty"`
}

// writeProblem is the Problem of Options when none is given.
func writeProblem(w http.ResponseWriter, r *http.Request, status int, code string) {
	writeJSON(w, status, "application/problem+json", encode(problem{
		Type:      "/problems/" + code,
		Title:     http.StatusText(status),
		Status:    status,
		Code:      code,
		RequestID: obs.RequestID(r.Context()),
	}))
}

// encode returns v as JSON. The types of this package cannot fail.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return []byte(`{}`)
	}
	return body
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

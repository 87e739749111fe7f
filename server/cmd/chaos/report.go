package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// mostListed bounds the violations that are printed and stored; all are counted.
const mostListed = 100

// death is one end of the server.
type death struct {
	After  float64 `json:"after_seconds"` // since the run began
	Uptime float64 `json:"uptime_seconds"`
	Acked  int64   `json:"acknowledged"` // operations in that time
	How    string  `json:"how"`
}

// row is one line of the table.
type row struct {
	Kind         string `json:"kind"`
	Intended     int    `json:"intended"`
	Acknowledged int    `json:"acknowledged"`
	Refused      int    `json:"refused"`
	Unsent       int    `json:"unsent"`
	Unknown      int    `json:"unknown"`
	Present      int    `json:"present"`    // acknowledged, and its effect was seen
	Superseded   int    `json:"superseded"` // acknowledged, and a later operation took its place
	Duplicate    int    `json:"duplicate"`  // second copies after a broken connection
	Surprise     int    `json:"unacknowledged_present"`
	Lost         int    `json:"lost"`
	Corrupt      int    `json:"corrupt"`
	// Slowest is the longest time from an intent to its acknowledgement, in seconds.
	Slowest float64 `json:"slowest_seconds"`
}

// partResult is what came of one part.
type partResult struct {
	Name    string  `json:"name"`
	Planned int     `json:"planned"`
	Ran     bool    `json:"ran"`
	Skipped string  `json:"skipped,omitempty"` // why it was left out
	Seconds float64 `json:"seconds"`
	Acked   int64   `json:"acknowledged"` // operations
}

// result is the report of a run.
type result struct {
	OK            bool           `json:"ok"`
	Seed          uint64         `json:"seed"`
	Clients       int            `json:"clients"`
	Folder        string         `json:"folder"`
	Seconds       float64        `json:"seconds"`
	Parts         []partResult   `json:"parts"`
	Planned       int            `json:"planned_kills"`
	Kills         int            `json:"kills"`       // under load
	WholeKills    int            `json:"whole_kills"` // of these, with the database
	EarlyKills    int            `json:"idle_kills"`  // during or right after a start
	Stops         int            `json:"stops"`       // by SIGTERM
	Deaths        []death        `json:"deaths"`
	First         float64        `json:"first_start_seconds"`
	Ready         []float64      `json:"ready_seconds"` // of the restarts
	StopTimes     []float64      `json:"stop_seconds"`
	Verifications []verification `json:"verifications"`
	Settled       float64        `json:"settled_seconds"` // until the last email had its result and the last notice had come
	// Blackouts are the ends of the database below a living server, Fillings the full volumes.
	Blackouts      []*troubleResult `json:"database_kills"`
	Fillings       []*troubleResult `json:"disk_full"`
	Restarts       restartsResult   `json:"restarts"`
	Outage         outageResult     `json:"outage"`
	Recoveries     []recovery       `json:"recoveries"`
	Movement       movement         `json:"movement"`
	LatestKill     float64          `json:"latest_explaining_kill_seconds"` // after a reply
	Sent           []sentRow        `json:"sent"`
	SentTotal      sentRow          `json:"sent_total"`
	Table          []row            `json:"table"`
	Acked          int              `json:"messages_acknowledged"` // letters and appended messages
	Total          row              `json:"total"`
	DuplicateRatio float64          `json:"duplicate_ratio"` // of acknowledged letters
	Messages       int              `json:"messages"`        // that IMAP showed at the end
	Files          int              `json:"files"`
	Replies        map[string]int   `json:"replies"` // of refused, unsent and unknown operations
	ByClass        map[string]int   `json:"violations_by_class"`
	Violations     []violation      `json:"violations"`
}

func newResult(o *options) *result {
	return &result{
		OK: true, Seed: o.seed, Clients: o.clients, Folder: o.data, Planned: o.kills, Replies: map[string]int{}, ByClass: map[string]int{},
		Violations: []violation{}, Restarts: restartsResult{Planned: o.restarts, Underway: map[string]underway{}},
		Total: row{Kind: "total"}, SentTotal: sentRow{Kind: "total"},
	}
}

func (r *result) fail(format string, args ...any) {
	r.violate(violation{classInternal, fmt.Sprintf(format, args...)})
}

func (r *result) violate(v violation) {
	r.OK = false
	r.ByClass[v.Class]++
	if len(r.Violations) < mostListed {
		r.Violations = append(r.Violations, v)
	}
}

// tabulate adds to the tables what the checker found on one server.
func (r *result) tabulate(h *history, c *checker) {
	rows := map[string]*row{}
	for _, kind := range kinds() {
		rows[kind] = &row{Kind: kind, Duplicate: c.allowed[kind], Surprise: c.surprise[kind]}
	}
	for _, op := range h.ops {
		if op.outcome != evAck && op.outcome != evSeen {
			r.Replies[op.Kind+" "+op.outcome+": "+shape(op.Reply)]++
		}
		if row := rows[op.Kind]; row != nil && op.outcome != evTold {
			row.count(op, h.fates[op])
		}
	}
	for _, kind := range kinds() {
		r.Table = addRow(r.Table, *rows[kind])
		r.Total.add(*rows[kind])
	}
	r.DuplicateRatio = float64(r.Total.Duplicate) / float64(max(r.letters(), 1))
	for _, kind := range sortedKeys(c.sent) {
		r.Sent = addSentRow(r.Sent, *c.sent[kind])
		r.SentTotal.add(*c.sent[kind])
	}
	r.Recoveries = append(r.Recoveries, c.recoveries()...)
	r.Movement = summarise(r.Recoveries)
	r.LatestKill = max(r.LatestKill, round(c.latest))
	for _, v := range c.out {
		r.violate(v)
	}
}

func addRow(table []row, o row) []row {
	for i := range table {
		if table[i].Kind == o.Kind {
			table[i].add(o)
			return table
		}
	}
	return append(table, o)
}

func addSentRow(table []sentRow, o sentRow) []sentRow {
	for i := range table {
		if table[i].Kind == o.Kind {
			table[i].add(o)
			return table
		}
	}
	return append(table, o)
}

func (r *row) count(op *operation, f *fate) {
	r.Intended++
	switch op.outcome {
	case evRefused:
		r.Refused++
	case evUnsent:
		r.Unsent++
	case evUnknown:
		r.Unknown++
	case evAck:
		r.Acknowledged++
		r.Slowest = max(r.Slowest, round(op.took))
		switch {
		case f.lost:
			r.Lost++
		case f.corrupt:
			r.Corrupt++
		case f.superseded:
			r.Superseded++
		default:
			r.Present++
		}
	}
}

func (r *row) add(o row) {
	r.Intended += o.Intended
	r.Acknowledged += o.Acknowledged
	r.Refused += o.Refused
	r.Unsent += o.Unsent
	r.Unknown += o.Unknown
	r.Present += o.Present
	r.Superseded += o.Superseded
	r.Duplicate += o.Duplicate
	r.Surprise += o.Surprise
	r.Lost += o.Lost
	r.Corrupt += o.Corrupt
	r.Slowest = max(r.Slowest, o.Slowest)
}

// shape takes out of a reply what differs from time to time: words with digits that are not a code at the begin.
func shape(reply string) string {
	words := strings.Fields(reply)
	for i, w := range words {
		if i > 1 && strings.ContainsAny(w, "0123456789") {
			words[i] = "#"
		}
	}
	text := strings.Join(words, " ")
	return text[:min(len(text), 120)]
}

// write stores the report.
func (r *result) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // no secret, and PostgreSQL's account passes through
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644) //nolint:gosec // as above
}

func (r *result) letters() int {
	n := 0
	for _, row := range r.Table {
		if row.Kind == kindSMTP || row.Kind == kindSubmission || row.Kind == kindAPI {
			n += row.Acknowledged
		}
	}
	return n
}

// tally counts the acknowledged messages and says when they are too few.
func (r *result) tally(least int) {
	r.Acked = r.letters()
	for _, row := range r.Table {
		if row.Kind == kindAppend {
			r.Acked += row.Acknowledged
		}
	}
	if !slices.ContainsFunc(r.Parts, func(p partResult) bool { return p.Ran }) {
		r.violate(violation{classFew, "no part could run"})
	}
	if r.Acked < least {
		r.violate(violation{classFew, fmt.Sprintf("%d messages were acknowledged, at least %d are asked for", r.Acked, least)})
	}
}

// since is the time since begin in seconds.
func since(begin time.Time) float64 { return round(time.Since(begin)) }

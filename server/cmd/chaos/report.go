package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
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

// result is the report of a run.
type result struct {
	OK             bool           `json:"ok"`
	Seed           uint64         `json:"seed"`
	Clients        int            `json:"clients"`
	Folder         string         `json:"folder"`
	Seconds        float64        `json:"seconds"`
	Planned        int            `json:"planned_kills"`
	Kills          int            `json:"kills"`       // under load
	WholeKills     int            `json:"whole_kills"` // of these, with the database
	EarlyKills     int            `json:"idle_kills"`  // during or right after a start
	Stops          int            `json:"stops"`       // by SIGTERM
	Deaths         []death        `json:"deaths"`
	First          float64        `json:"first_start_seconds"`
	Ready          []float64      `json:"ready_seconds"` // of the restarts
	StopTimes      []float64      `json:"stop_seconds"`
	Verifications  []verification `json:"verifications"`
	Drained        float64        `json:"drained_seconds"` // until the queue was empty, from the last restart
	Settled        float64        `json:"settled_seconds"` // until the last notice had come as well
	Outage         outageResult   `json:"outage"`
	Recoveries     []recovery     `json:"recoveries"`
	Movement       movement       `json:"movement"`
	LatestKill     float64        `json:"latest_explaining_kill_seconds"` // after a reply
	Sent           []sentRow      `json:"sent"`
	SentTotal      sentRow        `json:"sent_total"`
	Table          []row          `json:"table"`
	Total          row            `json:"total"`
	DuplicateRatio float64        `json:"duplicate_ratio"` // of acknowledged letters
	Messages       int            `json:"messages"`        // that IMAP showed at the end
	Files          int            `json:"files"`
	Replies        map[string]int `json:"replies"` // of refused, unsent and unknown operations
	ByClass        map[string]int `json:"violations_by_class"`
	Violations     []violation    `json:"violations"`
}

func (r *result) fail(format string, args ...any) {
	r.violate(violation{classInternal, fmt.Sprintf(format, args...)})
}

func (r *result) violate(v violation) {
	r.OK = false
	if r.ByClass == nil {
		r.ByClass = map[string]int{}
	}
	r.ByClass[v.Class]++
	if len(r.Violations) < mostListed {
		r.Violations = append(r.Violations, v)
	}
}

// tabulate fills the table from the history and the checker.
func (r *result) tabulate(h *history, c *checker) {
	rows := map[string]*row{}
	for _, kind := range kinds() {
		rows[kind] = &row{Kind: kind, Duplicate: c.allowed[kind], Surprise: c.surprise[kind]}
	}
	r.Replies = map[string]int{}
	for _, op := range h.ops {
		if op.outcome != evAck && op.outcome != evSeen {
			r.Replies[op.Kind+" "+op.outcome+": "+shape(op.Reply)]++
		}
		if row := rows[op.Kind]; row != nil {
			row.count(op, h.fates[op])
		}
	}
	r.Total = row{Kind: "total"}
	for _, kind := range kinds() {
		r.Table = append(r.Table, *rows[kind])
		r.Total.add(*rows[kind])
	}
	letters := rows[kindSMTP].Acknowledged + rows[kindSubmission].Acknowledged + rows[kindAPI].Acknowledged
	r.DuplicateRatio = float64(r.Total.Duplicate) / float64(max(letters, 1))
	r.SentTotal = sentRow{Kind: "total"}
	for _, kind := range sortedKeys(c.sent) {
		r.Sent = append(r.Sent, *c.sent[kind])
		r.SentTotal.add(*c.sent[kind])
	}
	r.Recoveries = c.recoveries()
	r.Movement = summarise(r.Recoveries)
	r.LatestKill = round(c.latest)
	for _, v := range c.out {
		r.violate(v)
	}
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

// print shows the report to people.
func (r *result) print(out io.Writer) {
	fmt.Fprintf(out, "\nseed %d, %d clients, %.0f s\n", r.Seed, r.Clients, r.Seconds)
	for _, d := range r.Deaths {
		fmt.Fprintf(out, "  %7.2f s  %s after %.2f s of service with %d acknowledged operations\n", d.After, d.How, d.Uptime, d.Acked)
	}
	if r.Total.Intended > 0 {
		r.printTable(out)
		r.printSent(out)
	}
	fmt.Fprintf(out, "\nready again: %s; first start %.2f s; stopped by SIGTERM: %s\n", spread(r.Ready), r.First, spread(r.StopTimes))
	clean := 0
	for _, v := range r.Verifications {
		if v.Clean {
			clean++
		}
	}
	fmt.Fprintf(out, "verify: %d of %d clean\n", clean, len(r.Verifications))
	fmt.Fprintf(out, "at the end: %d messages over IMAP, %d files on disk; the last email had its result after %.1f s, the last notice was there after %.1f s; duplicates %d of %d letters (%.3f %%)\n",
		r.Messages, r.Files, r.Drained, r.Settled, r.Total.Duplicate, r.letters(), 100*r.DuplicateRatio)
	if r.OK {
		fmt.Fprintf(out, "OK: %d kills under load (%d with the database), %d idle kills, %d stops: nothing that was acknowledged was lost\n",
			r.Kills, r.WholeKills, r.EarlyKills, r.Stops)
		return
	}
	r.printViolations(out)
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

func (r *result) printTable(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "operation\tintended\tacknowledged\trefused\tunsent\tunknown\tpresent\tsuperseded\tduplicate\tunacked present\tlost\tcorrupt\tslowest s\t")
	for _, t := range append(slices.Clone(r.Table), r.Total) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.2f\t\n", t.Kind, t.Intended, t.Acknowledged, t.Refused, t.Unsent,
			t.Unknown, t.Present, t.Superseded, t.Duplicate, t.Surprise, t.Lost, t.Corrupt, t.Slowest)
	}
	_ = w.Flush() // a closed standard output has nobody to be told to
}

// printSent shows what became of the recipients on other servers.
func (r *result) printSent(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "to other servers\taccepted\tacknowledged\tdelivered once\tagain\tbounced\tnotices\twaiting\tlost\tcorrupt\tcopies: reply dropped\tcut\tkilled\tunexplained\t")
	for _, t := range append(slices.Clone(r.Sent), r.SentTotal) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", t.Kind, t.Accepted, t.Acked, t.Once, t.Repeated, t.Bounced,
			t.Told, t.Waiting, t.Lost, t.Corrupt, t.Dropped, t.Cut, t.Killed, t.Unexplained)
	}
	_ = w.Flush() // as above
	fmt.Fprintf(out, "\n%s\n", r.Movement)
	fmt.Fprintf(out, "of the kills that explain a second copy the latest came %.2f s after the reply was due\n", r.LatestKill)
	o := r.Outage
	fmt.Fprintf(out, "%s refused connections for %.0f s after %.0f s; sending to it was paused: %v; retries by the operator: %d\n",
		o.Domain, o.Seconds, o.After, o.Paused, o.Retries)
}

func (r *result) printViolations(out io.Writer) {
	fmt.Fprintf(out, "\nFAILED; the folder %s is kept, -seed %d makes the same plan\n", r.Folder, r.Seed)
	for _, v := range r.Violations {
		fmt.Fprintf(out, "  %-10s %s\n", v.Class, v.Text)
	}
	for _, class := range sortedKeys(r.ByClass) {
		fmt.Fprintf(out, "  %d x %s\n", r.ByClass[class], class)
	}
}

// spread shows least, middle and most of some seconds.
func spread(seconds []float64) string {
	if len(seconds) == 0 {
		return "never"
	}
	s := slices.Sorted(slices.Values(seconds))
	return fmt.Sprintf("%d times, %.2f s least, %.2f s median, %.2f s most", len(s), s[0], s[len(s)/2], s[len(s)-1])
}

// since is the time since begin in seconds.
func since(begin time.Time) float64 { return round(time.Since(begin)) }

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// print shows the report to people.
func (r *result) print(out io.Writer) {
	fmt.Fprintf(out, "\nseed %d, %d clients, %.0f s\n", r.Seed, r.Clients, r.Seconds)
	if r.Total.Intended > 0 {
		r.printTable(out)
		r.printSent(out)
	}
	r.printTroubles(out)
	r.printStops(out)
	clean := 0
	for _, v := range r.Verifications {
		if v.Clean {
			clean++
		}
	}
	fmt.Fprintf(out, "\nready again: %s; first start %.2f s; verify: %d of %d clean\n", spread(r.Ready), r.First, clean, len(r.Verifications))
	fmt.Fprintf(out, "at the end: %d messages over IMAP, %d files on disk; the last result and the last notice were there after %.1f s; duplicates %d of %d letters (%.3f %%)\n",
		r.Messages, r.Files, r.Settled, r.Total.Duplicate, r.letters(), 100*r.DuplicateRatio)
	r.printParts(out)
	if r.OK {
		fmt.Fprintf(out, "OK%s: %d acknowledged operations, %d of them new messages: nothing that was acknowledged was lost\n", r.without(), r.Total.Acknowledged, r.Acked)
		return
	}
	r.printViolations(out)
}

// without names the parts that were left out.
func (r *result) without() string {
	var list []string
	for _, p := range r.Parts {
		if p.Skipped != "" {
			list = append(list, p.Name)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " without " + strings.Join(list, " and ")
}

func table(out io.Writer, head string) *tabwriter.Writer {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, head)
	return w
}

func (r *result) printTable(out io.Writer) {
	w := table(out, "operation\tintended\tacknowledged\trefused\tunsent\tunknown\tpresent\tsuperseded\tduplicate\tunacked present\tlost\tcorrupt\tslowest s\t")
	for _, t := range append(slices.Clone(r.Table), r.Total) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.2f\t\n", t.Kind, t.Intended, t.Acknowledged, t.Refused, t.Unsent,
			t.Unknown, t.Present, t.Superseded, t.Duplicate, t.Surprise, t.Lost, t.Corrupt, t.Slowest)
	}
	_ = w.Flush() // a closed standard output has nobody to be told to
}

// printSent shows what became of the recipients on other servers.
func (r *result) printSent(out io.Writer) {
	w := table(out, "to other servers\taccepted\tacknowledged\tdelivered once\tagain\tbounced\tnotices\twaiting\tlost\tcorrupt\tcopies: reply dropped\tcut\tkilled\tno database\tunexplained\t")
	for _, t := range append(slices.Clone(r.Sent), r.SentTotal) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", t.Kind, t.Accepted, t.Acked, t.Once, t.Repeated, t.Bounced,
			t.Told, t.Waiting, t.Lost, t.Corrupt, t.Dropped, t.Cut, t.Killed, t.Untold, t.Unexplained)
	}
	_ = w.Flush() // as above
	fmt.Fprintf(out, "\n%s\n", r.Movement)
	fmt.Fprintf(out, "of the kills that explain a second copy the latest came %.2f s after the reply was due\n", r.LatestKill)
	if o := r.Outage; o.Domain != "" {
		fmt.Fprintf(out, "%s refused connections for %.0f s after %.0f s; sending to it was paused: %v; retries by the operator: %d\n",
			o.Domain, o.Seconds, o.After, o.Paused, o.Retries)
	}
}

// printTroubles shows each time in which the living server lacked something.
func (r *result) printTroubles(out io.Writer) {
	all := slices.Concat(r.Blackouts, r.Fillings)
	if len(all) == 0 {
		return
	}
	w := table(out, "at s\tlacking\tfor s\tall ways back s\tacknowledged\ttold to come back\twrong\tcut off\tdoubtful\tread and removed\t")
	for _, t := range all {
		lasts, what := "killed", string(t.What)
		if t.Processes > 0 && t.What != lackDatabase {
			what += ", killed"
		}
		if t.Lasts > 0 {
			lasts = fmt.Sprintf("%.1f", t.Lasts)
		}
		fmt.Fprintf(w, "%.0f\t%s\t%s\t%.2f\t%d\t%d\t%d\t%d\t%d\t%d\t\n", t.After, what, lasts, t.Slowest, t.Acked, sum(t.Later), t.Wrong, t.Broken, t.Doubtful, t.Reads)
	}
	_ = w.Flush() // as above
	later := map[string]int{}
	for _, t := range all {
		for what, n := range t.Later {
			later[what] += n
		}
	}
	fmt.Fprintf(out, "told meanwhile: %s\n", counts(later))
}

func sum(m map[string]int) int {
	n := 0
	for v := range maps.Values(m) {
		n += v
	}
	return n
}

// counts lists what was counted, by name.
func counts(m map[string]int) string {
	var list []string
	for _, name := range sortedKeys(m) {
		list = append(list, fmt.Sprintf("%s %d times", name, m[name]))
	}
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// printStops shows what the SIGTERMs met.
func (r *result) printStops(out io.Writer) {
	if len(r.Restarts.Underway) == 0 {
		return
	}
	w := table(out, "under way at SIGTERM\tfinished\ttold to come back\tcut off, unsent\tcut off, unknown\t")
	for _, way := range sortedKeys(r.Restarts.Underway) {
		u := r.Restarts.Underway[way]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", way, u.Finished, u.Later, u.Unsent, u.Unknown)
	}
	_ = w.Flush() // as above
	fmt.Fprintf(out, "every kind of client had something acknowledged again: %s after the start\n", spread(r.Restarts.Reconnected))
}

// printParts closes with one line for each part.
func (r *result) printParts(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "part\tdone\tseconds\tacknowledged\tfigures")
	for _, p := range r.Parts {
		if p.Skipped != "" {
			fmt.Fprintf(w, "%s\t-\t-\t-\tleft out: %s\n", p.Name, p.Skipped)
			continue
		}
		done, figures := r.figures(p.Name)
		fmt.Fprintf(w, "%s\t%d of %d\t%.0f\t%d\t%s\n", p.Name, done, p.Planned, p.Seconds, p.Acked, figures)
	}
	_ = w.Flush() // as above
}

// figures gives what a part has done and its main figures.
func (r *result) figures(part string) (done int, text string) {
	switch part {
	case partKills:
		return r.Kills, fmt.Sprintf("%d with the database, %d more around a start, %d stops between; mail moved after %.2f s median, %.2f s most",
			r.WholeKills, r.EarlyKills, r.Stops, r.Movement.Median, r.Movement.Most)
	case partRestarts:
		return r.Restarts.Done, fmt.Sprintf("stopped %s (at most %.0f s); at least %d operations between two stops",
			spread(r.Restarts.Stops), stopWithin.Seconds(), r.Restarts.Fewest)
	case partPostgres:
		return len(r.Blackouts), troubleFigures(r.Blackouts)
	}
	return len(r.Fillings), troubleFigures(r.Fillings)
}

func troubleFigures(list []*troubleResult) string {
	var slowest []float64
	later, wrong := 0, 0
	for _, t := range list {
		slowest = append(slowest, t.Slowest)
		later += sum(t.Later)
		wrong += t.Wrong
	}
	return fmt.Sprintf("served again %s (at most %.0f s); %d temporary refusals, %d wrong ones", spread(slowest), backWithin.Seconds(), later, wrong)
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

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// drainReport is what the drains gave.
type drainReport struct {
	Messages     int          `json:"messages"`
	Destinations int          `json:"destinations"`
	Dead         string       `json:"dead"` // the destination
	Kind         string       `json:"kind"` // how it is dead
	FillPerS     float64      `json:"fill_per_s"`
	Waiting      apiTimes     `json:"api_all_waiting"`
	Rounds       []drainRound `json:"rounds"`
	DeadEnd      string       `json:"dead_end,omitempty"` // what came to the dead destination, in the last round
	DeadStates   []deadState  `json:"dead_states"`
	Disturbed    bool         `json:"disturbed"` // by somebody else, so that the rounds of every pair count

	values map[string][]float64 // for the table of figures
}

// drainRound is one drain. Times count from the first letter at the sink and concern all destinations but the one that is dead in
// every second round.
type drainRound struct {
	Dead    string    `json:"dead"` // empty: nobody was
	Seconds float64   `json:"seconds"`
	PerS    float64   `json:"per_s"`
	P50     float64   `json:"destination_p50_s"`
	P95     float64   `json:"destination_p95_s"`
	Mean    float64   `json:"destination_mean_s"`
	Rates   []float64 `json:"per_s_in_each_twentieth"`
	CPU     float64   `json:"cpu_ms"`       // of the server with its database, for one letter
	Others  float64   `json:"others_cores"` // used by somebody else
	Left    float64   `json:"left_core_s"`  // core-seconds that they left
	First   float64   `json:"first_s"`      // from the start of the server to the first letter
	API     apiTimes  `json:"api"`
	Amid    float64   `json:"fresh_amid_s"`   // until a fresh letter was at the sink, sent when half of the others were
	Behind  float64   `json:"fresh_behind_s"` // the same, sent when all were
}

func (r drainRound) who() string {
	if r.Dead == "" {
		return "all alive"
	}
	return "one " + r.Dead
}

func (r drainRound) String() string {
	return fmt.Sprintf("%s s, %s/s, destinations p50 %s s, %s ms CPU, %s cores used by others", number4(r.Seconds), number4(r.PerS), number4(r.P50),
		number4(r.CPU), number4(round(r.Others)))
}

func (d *drainReport) add(key string, value float64) {
	if d.values == nil {
		d.values = map[string][]float64{}
	}
	d.values["drain."+key] = append(d.values["drain."+key], value)
}

// keep puts a round into the table of figures.
func (d *drainReport) keep(r drainRound) {
	kind := "alive"
	if r.Dead != "" {
		kind = "dead"
	}
	d.add(kind+"_per_s", r.PerS)
	d.add(kind+"_s", r.Seconds)
	d.add(kind+"_p50_s", r.P50)
	d.add(kind+"_mean_s", r.Mean)
	d.add(kind+"_cpu_ms", r.CPU)
	d.add(kind+"_left_core_s", r.Left)
	d.add(kind+"_p50_core_s", r.Left*r.P50/r.Seconds)
	d.add("others_cores", r.Others)
	d.add("fresh_amid_s", r.Amid)
	d.add("fresh_behind_s", r.Behind)
	d.add("busy_entries_ms", r.API.EntriesMost)
	d.add("busy_destinations_ms", r.API.DestinationsMax)
}

// keepTimes puts the answers of the full queue into the table.
func (d *drainReport) keepTimes(t apiTimes) {
	d.add("fill_per_s", d.FillPerS)
	d.add("entries_ms", t.EntriesMost)
	d.add("destinations_ms", t.DestinationsMax)
}

// slower gives by how many percent the median of the rounds with a dead destination is above that of the others.
func (d *drainReport) slower(what string) float64 {
	return 100 * (median(d.values["drain.dead_"+what])/median(d.values["drain.alive_"+what]) - 1)
}

// mostOthers is how many cores somebody else may use in a round that is undisturbed.
const mostOthers = 0.25

// quiet gives the rounds of the pairs in which nobody disturbed.
func (d *drainReport) quiet() []drainRound {
	var list []drainRound
	for pair := range slices.Chunk(d.Rounds, 2) {
		if len(pair) == 2 && pair[0].Others <= mostOthers && pair[1].Others <= mostOthers {
			list = append(list, pair...)
		}
	}
	return list
}

func (d *drainReport) quietPairs() int { return len(d.quiet()) / 2 }

// compare puts the rounds with a dead destination against the others: those of undisturbed pairs, by the clock. When there are too
// few, all rounds count, by the core-seconds that others left, which is the best that can be said then. The noise is how far rounds
// of the same kind lie apart.
func (d *drainReport) compare() {
	rounds := d.quiet()
	if d.Disturbed = len(rounds) == 0 || len(rounds) < 4 && len(d.Rounds) > len(rounds); d.Disturbed {
		rounds = d.Rounds
	}
	for _, r := range rounds {
		d.keep(r)
	}
	last, each := "s", "p50_s"
	if d.Disturbed {
		last, each = "left_core_s", "p50_core_s"
	}
	d.add("slower_percent", d.slower(last))
	d.add("slower_p50_percent", d.slower(each))
	d.add("slower_mean_percent", d.slower("mean_s"))
	d.add("slower_cpu_percent", d.slower("cpu_ms"))
	noise := 0.0
	for _, kind := range []string{"alive", "dead"} {
		for _, what := range []string{"_" + last, "_" + each} {
			list := d.values["drain."+kind+what]
			noise = max(noise, 100*(slices.Max(list)-slices.Min(list))/median(list))
		}
	}
	d.add("noise_percent", noise)
}

// mostSlower is by how many percent the others may be slower when one destination is dead; apiWithin is how long an answer about
// the queue may take, in milliseconds.
const (
	mostSlower = 5
	apiWithin  = 1_000
)

func drainSpecs(w drainWork) []spec {
	others := fmt.Sprintf("%d destinations", w.destinations-1)
	return []spec{
		{key: "drain.fill_per_s", label: fmt.Sprintf("batches of %d, no worker", batchSize), unit: "/s"},
		{key: "drain.entries_ms", label: fmt.Sprintf("queue list, %d wait, longest", w.messages), unit: "ms", less: true, gate: apiWithin},
		{key: "drain.destinations_ms", label: "  destinations, longest", unit: "ms", less: true, gate: apiWithin},
		{key: "drain.busy_entries_ms", label: "  queue list while it drains, longest", unit: "ms", less: true, gate: apiWithin},
		{key: "drain.busy_destinations_ms", label: "  destinations, longest", unit: "ms", less: true, gate: apiWithin},
		{key: "drain.alive_per_s", label: "drain to " + others + ", all alive", unit: "/s"},
		{key: "drain.alive_s", label: "  until the last letter", unit: "s", less: true},
		{key: "drain.alive_p50_s", label: "  destination p50", unit: "s", less: true},
		{key: "drain.alive_mean_s", label: "  destination, mean", unit: "s", less: true},
		{key: "drain.alive_cpu_ms", label: "  CPU per message", unit: "ms", less: true},
		{key: "drain.dead_per_s", label: "drain to " + others + ", one more dead", unit: "/s"},
		{key: "drain.dead_s", label: "  until the last letter", unit: "s", less: true},
		{key: "drain.dead_p50_s", label: "  destination p50", unit: "s", less: true},
		{key: "drain.dead_mean_s", label: "  destination, mean", unit: "s", less: true},
		{key: "drain.dead_cpu_ms", label: "  CPU per message", unit: "ms", less: true},
		{key: "drain.fresh_amid_s", label: "a fresh letter when half is sent", unit: "s", less: true},
		{key: "drain.fresh_behind_s", label: "  when all is sent", unit: "s", less: true},
		{key: "drain.slower_percent", label: "slower with the dead one, last letter", unit: "%", less: true, gate: mostSlower},
		{key: "drain.slower_p50_percent", label: "  destination p50", unit: "%", less: true, gate: mostSlower},
		{key: "drain.slower_mean_percent", label: "  destination, mean, by the clock", unit: "%", less: true},
		{key: "drain.slower_cpu_percent", label: "  CPU per message", unit: "%", less: true},
		{key: "drain.noise_percent", label: "  between rounds of the same kind", unit: "%", less: true},
	}
}

// show prints the rounds to people.
func (d *drainReport) show(out io.Writer) {
	fmt.Fprintf(out, "\ndrain of %d letters to %d destinations; %s is dead (%s) in every second round\n", d.Messages, d.Destinations, d.Dead, d.Kind)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "round\tdead\tseconds\t/s\tdest. p50 s\tp95 s\tCPU ms\tothers' cores\tfirst after s\tfresh s\t/s by fifths")
	for i, r := range d.Rounds {
		dead := "nobody"
		if r.Dead != "" {
			dead = r.Dead
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s, %s\t%s\n", i+1, dead, number4(r.Seconds), number4(r.PerS), number4(r.P50), number4(r.P95),
			number4(r.CPU), number4(round(r.Others)), number4(r.First), number4(round(r.Amid)), number4(round(r.Behind)), fifths(r.Rates))
	}
	_ = w.Flush()                                                  // a closed standard output has nobody to be told to
	for _, s := range d.DeadStates[max(0, len(d.DeadStates)-2):] { // of the last round
		fmt.Fprintf(out, "%s, %s: %s\n", d.Dead, s.When, s)
	}
	if d.DeadEnd != "" {
		fmt.Fprintf(out, "%s: %s\n", d.Dead, d.DeadEnd)
	}
}

// fifths shows the course of a drain in five numbers: a slice took its share of the letters, so the mean rate is the harmonic one.
func fifths(rates []float64) string {
	var parts []string
	for part := range slices.Chunk(rates, slices20/5) {
		sum := 0.0
		for _, r := range part {
			sum += 1 / r
		}
		parts = append(parts, number4(round(float64(len(part))/sum)))
	}
	return strings.Join(parts, " ")
}

package main

import (
	"fmt"
	"math"
	"slices"
)

// spec is a row of the table.
type spec struct {
	key, label, unit string
	// less says that a smaller value is the better one.
	less bool
	// gate is the value that must be reached, 0 for none; goal is what we would like to say in public.
	gate, goal float64
	// ratio to the peer of the same run that also passes the gate, because machines differ; 0 for none.
	ratio float64
}

// specs lists the rows with their gates and goals. The gates were set on a machine of two cores.
func specs(p plan) []spec {
	var list []spec
	for _, l := range p.ingest {
		list = append(list, ingestSpecs(l.connections)...)
	}
	list = append(
		list,
		spec{key: "submit.sink_per_s", label: "submission to the sink C=8", unit: "/s", gate: 350, goal: 600},
		spec{key: "submit.to_sink_p50_ms", label: "  dot to sink p50", unit: "ms", less: true, gate: 150, goal: 75},
		spec{key: "submit.to_sink_p99_ms", label: "  dot to sink p99", unit: "ms", less: true, gate: 400, goal: 200},
		spec{key: "submit.accepted_per_s", label: "  accepted", unit: "/s"},
		spec{key: "submit.dot_p50_ms", label: "  dot p50", unit: "ms", less: true},
		spec{key: "submit.dot_p99_ms", label: "  dot p99", unit: "ms", less: true},
		spec{key: "submit.cpu_ms", label: "  CPU per message", unit: "ms", less: true},
		spec{key: "submit.signed_percent", label: "  signed with DKIM", unit: "%"},
		spec{key: "push.dot_p50_ms", label: fmt.Sprintf("push to IDLE p50, %d idle", p.idle), unit: "ms", less: true, gate: 20, goal: 5, ratio: 1.0 / 27},
		spec{key: "push.dot_p95_ms", label: "  p95", unit: "ms", less: true},
		spec{key: "push.dot_p99_ms", label: "  p99", unit: "ms", less: true, gate: 50, goal: 15, ratio: 1.0 / 27},
		spec{key: "push.cpu_ms", label: "  CPU per push", unit: "ms", less: true},
	)
	list = append(list, fetchSpecs(p.box)...)
	list = append(
		list,
		spec{key: "memory.idle_mib", label: "idle memory (PSS), nobody connected", unit: "MiB", less: true, gate: 100, goal: 60},
		spec{key: "memory.signed_in_mib", label: fmt.Sprintf("  %.0f s after %d sign-ins", p.settle.Seconds(), users), unit: "MiB", less: true},
		spec{key: "memory.busy_mib", label: fmt.Sprintf("  with %d idle TLS connections", p.weighed), unit: "MiB", less: true},
		spec{key: "memory.connection_kib", label: "  per idle TLS connection", unit: "KiB", less: true, gate: 100, goal: 50},
	)
	return append(list, drainSpecs(p.emptying)...)
}

func ingestSpecs(connections int) []spec {
	key := fmt.Sprintf("ingest.c%d.", connections)
	visible := spec{key: key + "visible_per_s", label: fmt.Sprintf("ingest C=%d, visible", connections), unit: "/s"}
	p99 := spec{key: key + "dot_p99_ms", label: "  dot p99", unit: "ms", less: true}
	cpu := spec{key: key + "cpu_ms", label: "  CPU per message", unit: "ms", less: true}
	switch connections {
	case 8:
		visible.gate, visible.goal, visible.ratio = 450, 900, 1.3
		cpu.gate, cpu.goal = 4, 2
	case 32:
		visible.goal = 1_000
		p99.gate, p99.goal = 150, 65
	}
	return []spec{
		visible,
		{key: key + "accepted_per_s", label: "  accepted", unit: "/s"},
		{key: key + "dot_p50_ms", label: "  dot p50", unit: "ms", less: true},
		p99, cpu,
	}
}

// hugeBox is the size of the mailbox for which lists have gates.
const hugeBox = 50_000

func fetchSpecs(box int) []spec {
	list := []spec{
		{key: "fetch.append_per_s", label: fmt.Sprintf("APPEND of %d messages C=4", box), unit: "/s"},
		{key: "fetch.select_first_ms", label: "SELECT, first", unit: "ms", less: true},
		{key: "fetch.select_ms", label: "  warm", unit: "ms", less: true},
		{key: "fetch.flags_ms", label: "FETCH 1:* (UID FLAGS)", unit: "ms", less: true},
		{key: "fetch.envelope_first_ms", label: "FETCH 1:* (FLAGS ENVELOPE), first", unit: "ms", less: true},
		{key: "fetch.envelope_ms", label: "  warm", unit: "ms", less: true},
		{key: "fetch.list_ms", label: "FETCH 1:*, list of a mail client", unit: "ms", less: true},
		{key: "fetch.bodies_mib_per_s", label: "bodies", unit: "MiB/s", gate: 80, goal: 120},
		{key: "fetch.one_p50_ms", label: "one message p50", unit: "ms", less: true},
		{key: "fetch.one_p99_ms", label: "  p99", unit: "ms", less: true, gate: 3, goal: 1},
		{key: "fetch.cpu_s", label: "  CPU of all reading", unit: "s", less: true},
	}
	if box < hugeBox {
		return list
	}
	gates := map[string][2]float64{
		"fetch.select_first_ms": {300, 100}, "fetch.select_ms": {100, 20},
		"fetch.envelope_first_ms": {1_400, 600}, "fetch.envelope_ms": {1_400, 300},
	}
	for i := range list {
		g := gates[list[i].key]
		list[i].gate, list[i].goal = max(list[i].gate, g[0]), max(list[i].goal, g[1])
	}
	return list
}

// side is what one server reached.
type side struct {
	Median *float64  `json:"median"` // null when it was not measured
	Rounds []float64 `json:"rounds,omitempty"`
}

func newSide(rounds []float64) side {
	rounds = slices.DeleteFunc(slices.Clone(rounds), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(rounds) == 0 {
		return side{}
	}
	m := round(median(rounds))
	for i := range rounds {
		rounds[i] = round(rounds[i])
	}
	return side{&m, rounds}
}

// figure is a row of the table with its values.
type figure struct {
	Key   string   `json:"key"`
	Label string   `json:"label"`
	Unit  string   `json:"unit"`
	Less  bool     `json:"less_is_better"`
	Ours  side     `json:"ours"`
	Peer  side     `json:"peer"`
	Ratio *float64 `json:"ratio"` // ours / peer
	Gate  *gate    `json:"gate,omitempty"`
}

// gate is a limit and whether it was kept.
type gate struct {
	Text string  `json:"text"`
	Goal float64 `json:"goal,omitempty"`
	Met  bool    `json:"met"`
}

// tabulate makes the rows from what the rounds gave, by key.
func tabulate(list []spec, ours, peer map[string][]float64) []figure {
	var rows []figure
	for _, s := range list {
		f := figure{Key: s.key, Label: s.label, Unit: s.unit, Less: s.less, Ours: newSide(ours[s.key]), Peer: newSide(peer[s.key])}
		if f.Ours.Median != nil && f.Peer.Median != nil && *f.Peer.Median != 0 {
			r := round(*f.Ours.Median / *f.Peer.Median)
			f.Ratio = &r
		}
		f.Gate = s.judge(f)
		rows = append(rows, f)
	}
	return append(rows, keepUp(ours)...)
}

// judge says whether a gate was kept: by the value itself, or by the ratio to the peer. What was not measured has no gate.
func (s spec) judge(f figure) *gate {
	if s.gate == 0 || f.Ours.Median == nil {
		return nil
	}
	sign := "≥"
	better := func(a, b float64) bool { return a >= b }
	if s.less {
		sign = "≤"
		better = func(a, b float64) bool { return a <= b }
	}
	g := &gate{Text: fmt.Sprintf("%s %g", sign, s.gate), Goal: s.goal, Met: better(*f.Ours.Median, s.gate)}
	if s.ratio != 0 {
		g.Text += fmt.Sprintf(" or ratio %s %.3g", sign, s.ratio)
		g.Met = g.Met || f.Ratio != nil && better(*f.Ratio, s.ratio)
	}
	return g
}

// fewestKept is what must be left of the rate at 8 connections when there are 32.
const fewestKept = 0.95

// keepUp is the row about more connections not making the server slower.
func keepUp(ours map[string][]float64) []figure {
	few, many := newSide(ours["ingest.c8.visible_per_s"]), newSide(ours["ingest.c32.visible_per_s"])
	if few.Median == nil || many.Median == nil || *few.Median == 0 {
		return nil
	}
	kept := round(*many.Median / *few.Median)
	return []figure{{
		Key: "ingest.c32_to_c8", Label: "ingest C=32 to C=8, visible", Unit: "ratio", Ours: side{Median: &kept},
		Gate: &gate{Text: fmt.Sprintf("≥ %g", fewestKept), Met: kept >= fewestKept},
	}}
}

// pair is one figure by our generator and by the independent one.
type pair struct {
	Key        string    `json:"key"`
	Label      string    `json:"label"`
	Server     string    `json:"server"`
	Own        float64   `json:"own"`
	Foreign    float64   `json:"foreign"`
	Difference float64   `json:"difference_percent"`
	OwnRounds  []float64 `json:"own_rounds"`
	Rounds     []float64 `json:"foreign_rounds"`
}

// comparisons are the figures that both generators give.
func comparisons() [][2]string {
	key := fmt.Sprintf("ingest.c%d.", foreignConnections)
	return [][2]string{
		{key + "visible_per_s", "ingest C=8, visible, /s"},
		{key + "accepted_per_s", "  accepted, /s"},
		{key + "dot_p50_ms", "  dot p50, ms"},
		{key + "dot_p99_ms", "  dot p99, ms"},
		{key + "cpu_ms", "  CPU per message, ms"},
		{"push.mail_p50_ms", "push, MAIL to EXISTS p50, ms"},
		{"push.mail_p99_ms", "  p99, ms"},
	}
}

// compare holds our figures of one server against those of the independent generator.
func compare(server string, got map[string][]float64) []pair {
	var list []pair
	for _, c := range comparisons() {
		own, foreign := newSide(got[c[0]]), newSide(got[foreignPrefix+c[0]])
		if own.Median == nil || foreign.Median == nil || *foreign.Median == 0 {
			continue
		}
		list = append(list, pair{
			Key: c[0], Label: c[1], Server: server, Own: *own.Median, Foreign: *foreign.Median,
			Difference: round(100 * (*own.Median - *foreign.Median) / *foreign.Median), OwnRounds: own.Rounds, Rounds: foreign.Rounds,
		})
	}
	return list
}

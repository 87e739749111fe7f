package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func ms(values ...int) []time.Duration {
	var list []time.Duration
	for _, v := range values {
		list = append(list, time.Duration(v)*time.Millisecond)
	}
	return list
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	cases := []struct {
		times []time.Duration
		p     float64
		want  float64
	}{
		{ms(7), 50, 7},
		{ms(7), 99, 7},
		{ms(4, 1, 3, 2), 50, 2},
		{ms(4, 1, 3, 2), 75, 3},
		{ms(4, 1, 3, 2), 76, 4},
		{ms(hundred...), 50, 50},
		{ms(hundred...), 99, 99},
		{ms(hundred...), 100, 100},
	}
	for _, c := range cases {
		if got := percentile(c.times, c.p); got != c.want {
			t.Errorf("p%g of %v is %g, want %g", c.p, c.times, got, c.want)
		}
	}
	if !math.IsNaN(percentile(nil, 50)) {
		t.Error("no times have a percentile")
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want || !slices.Equal(before, c.values) {
			t.Errorf("median of %v is %g, want %g", before, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("no values have a median")
	}
}

func TestNothingMeasuredIsNoFigure(t *testing.T) {
	t.Parallel()
	if s := newSide([]float64{math.NaN(), math.Inf(1)}); s.Median != nil {
		t.Errorf("the median is %g", *s.Median)
	}
	if s := newSide([]float64{math.NaN(), 4, 2}); s.Median == nil || *s.Median != 3 || len(s.Rounds) != 2 {
		t.Errorf("%+v", s)
	}
	if rate(5, 0) == rate(5, 0) || share(5, 0) == share(5, 0) { // NaN differs from itself
		t.Error("a rate over no time, or a share of nothing, is a number")
	}
}

func row(t *testing.T, rows []figure, key string) figure {
	t.Helper()
	i := slices.IndexFunc(rows, func(f figure) bool { return f.Key == key })
	if i < 0 {
		t.Fatalf("no row %s", key)
	}
	return rows[i]
}

func TestGatesAreJudgedByTheMedianOrTheRatio(t *testing.T) {
	t.Parallel()
	list := specs(fullPlan())
	cases := map[string]struct {
		key        string
		ours, peer []float64
		met        bool
	}{
		"fast":                            {"ingest.c8.visible_per_s", []float64{440, 460, 470}, nil, true},
		"slow":                            {"ingest.c8.visible_per_s", []float64{440, 445, 470}, nil, false},
		"slow on a machine that is slow":  {"ingest.c8.visible_per_s", []float64{300}, []float64{200}, true},
		"slow beside a peer that is fast": {"ingest.c8.visible_per_s", []float64{300}, []float64{250}, false},
		"small":                           {"memory.idle_mib", []float64{99}, []float64{10}, true},
		"large":                           {"memory.idle_mib", []float64{101}, []float64{1_000}, false},
		"late":                            {"push.dot_p50_ms", []float64{21}, []float64{540}, false},
		"late, but for the peer":          {"push.dot_p50_ms", []float64{21}, []float64{600}, true},
		"lossless signing":                {"submit.sink_per_s", []float64{350}, nil, true},
	}
	for name, c := range cases {
		rows := tabulate(list, map[string][]float64{c.key: c.ours}, map[string][]float64{c.key: c.peer})
		if g := row(t, rows, c.key).Gate; g == nil || g.Met != c.met {
			t.Errorf("%s: the gate is %v", name, g)
		}
	}
	rows := tabulate(list, nil, nil)
	for _, f := range rows {
		if f.Gate != nil {
			t.Errorf("%s has a gate although nothing was measured", f.Key)
		}
	}
}

func TestMoreConnectionsMustNotMakeTheServerSlower(t *testing.T) {
	t.Parallel()
	for many, met := range map[float64]bool{95: true, 94: false, 120: true} {
		rows := tabulate(nil, map[string][]float64{"ingest.c8.visible_per_s": {100}, "ingest.c32.visible_per_s": {many}}, nil)
		if g := row(t, rows, "ingest.c32_to_c8").Gate; g.Met != met {
			t.Errorf("%g after 100: %v", many, g)
		}
	}
}

func TestListsHaveGatesOnlyInAHugeMailbox(t *testing.T) {
	t.Parallel()
	p := fullPlan()
	has := func() bool {
		return slices.ContainsFunc(specs(p), func(s spec) bool { return s.key == "fetch.envelope_ms" && s.gate > 0 })
	}
	if has() {
		t.Error("a list of 10,000 has a gate for 50,000")
	}
	if p.box = hugeBox; !has() {
		t.Error("a list of 50,000 has no gate")
	}
}

func TestRatiosAndGatesStandInTheTable(t *testing.T) {
	t.Parallel()
	r := result{OK: true, Rounds: 3, Servers: []contestant{{Name: "mailserver"}, {Name: peerName, Skipped: "no root"}}}
	r.Figures = tabulate(specs(fullPlan()),
		map[string][]float64{"ingest.c8.visible_per_s": {400, 500, 600}, "ingest.c8.cpu_ms": {5}},
		map[string][]float64{"ingest.c8.visible_per_s": {250}})
	var b strings.Builder
	r.print(&b)
	for _, want := range []string{
		"ingest C=8, visible /s more 500 250 2 ≥ 450 or ratio ≥ 1.3 met",
		"CPU per message ms less 5 - - ≤ 4 MISSED",
		"postfix+dovecot was not measured: no root",
		"OK: every accepted letter",
	} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}
	if r.gates(); r.OK || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "ingest.c8.cpu_ms is 5 ms, wanted ≤ 4") {
		t.Errorf("problems: %q", r.Problems)
	}
}

func TestBothGeneratorsAreHeldAgainstEachOther(t *testing.T) {
	t.Parallel()
	got := map[string][]float64{
		"ingest.c8.visible_per_s": {110, 90, 120}, "mailbench.ingest.c8.visible_per_s": {100},
		"ingest.c8.cpu_ms": {2}, "push.mail_p50_ms": {5},
	}
	pairs := compare("mailserver", got)
	if len(pairs) != 1 || pairs[0].Own != 110 || pairs[0].Foreign != 100 || pairs[0].Difference != 10 {
		t.Errorf("%+v", pairs)
	}
}

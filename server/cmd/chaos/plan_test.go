package main

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSameSeedMakesTheSamePlan_F30(t *testing.T) {
	t.Parallel()
	a, b := planKills(7, 20, 2), planKills(7, 20, 2)
	kills, stops, again := 0, 0, 0
	for i, s := range a {
		if s != b[i] {
			t.Fatalf("step %d differs: %v and %v", i, s, b[i])
		}
		switch {
		case s.ending == interrupt:
			stops++
		case s.again:
			again++
			fallthrough
		default:
			kills++
		}
	}
	if kills != 20 || stops != 2 || again != 5 {
		t.Errorf("%d kills, %d stops, %d second kills", kills, stops, again)
	}
	if c := planKills(8, 20, 2); c[0] == a[0] && c[1] == a[1] {
		t.Error("another seed makes the same plan")
	}
	for name, same := range map[string]bool{
		"cuts":     slices.Equal(planCuts(7, 5), planCuts(7, 5)) && !slices.Equal(planCuts(7, 5), planCuts(8, 5)),
		"fillings": slices.Equal(planFillings(7, 5), planFillings(7, 5)) && !slices.Equal(planFillings(7, 5), planFillings(8, 5)),
		"restarts": slices.Equal(planRestarts(7, 5), planRestarts(7, 5)) && !slices.Equal(planRestarts(7, 5), planRestarts(8, 5)),
	} {
		if !same {
			t.Errorf("%s do not follow from the seed", name)
		}
	}
}

func TestPlanFitsIntoItsTime(t *testing.T) {
	t.Parallel()
	const lasting, overhead = 4 * time.Minute, 4 * time.Second
	for seed := range uint64(50) {
		plan := planKills(seed, 20, 2)
		var spent time.Duration
		for i, s := range plan {
			spent += s.uptime(lasting-spent, len(plan)-i, overhead) + overhead
		}
		if spent > lasting*5/4 || spent < lasting/2 {
			t.Errorf("seed %d needs %s", seed, spent)
		}
	}
}

func TestEveryKindOfFullVolumeHasItsTurn_F9(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		seen := map[filling]int{}
		for _, f := range planFillings(seed, 8) {
			if f.hold < 6*time.Second || f.hold > 10*time.Second {
				t.Errorf("seed %d: full for %s", seed, f.hold)
			}
			f.hold = 0
			seen[f]++
		}
		if len(seen) != 4 || slices.ContainsFunc(slices.Collect(maps.Values(seen)), func(n int) bool { return n != 2 }) {
			t.Errorf("seed %d: %v", seed, seen)
		}
	}
}

func TestFlagsChooseThePartsAndTheirNumbers(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]options{
		"-seed 5": {least: 10_000, only: allParts(), kills: 20, stops: 2, lasting: 4 * time.Minute, cuts: 5, restarts: 100, fillings: 4, ready: 5 * time.Second},
		"-seed 5 -only postgres,disk -postgres 2 -fillings 7": {
			only: []string{partPostgres, partDisk}, kills: 20, stops: 2, lasting: 4 * time.Minute, cuts: 2, restarts: 100, fillings: 7, ready: 5 * time.Second,
		},
		"-seed 5 -short": {
			only: []string{partKills, partPostgres, partRestarts}, kills: 5, stops: 1, lasting: time.Minute, cuts: 1, restarts: 3, fillings: 4, ready: 10 * time.Second, short: true,
		},
		"-seed 5 --short -for 30s -kills 3 -json": {
			only: []string{partKills, partPostgres, partRestarts}, kills: 3, stops: 1, lasting: 30 * time.Second, cuts: 1, restarts: 3, fillings: 4,
			ready: 10 * time.Second, short: true, json: true,
		},
	} {
		got, err := parse(strings.Fields(line), io.Discard)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want.seed, want.clients, want.data, want.server = 5, 8, ".run/chaos/5", "bin/mailserver"
		if !slices.Equal(got.only, want.only) {
			t.Errorf("%s: the parts are %v, want %v", line, got.only, want.only)
		}
		got.only, want.only = nil, nil
		if got.kills != want.kills || got.stops != want.stops || got.lasting != want.lasting || got.cuts != want.cuts ||
			got.restarts != want.restarts || got.fillings != want.fillings || got.short != want.short || got.json != want.json ||
			got.seed != want.seed || got.data != want.data || got.clients != want.clients || got.ready != want.ready || got.least != want.least || got.server != want.server {
			t.Errorf("%s: %+v, want %+v", line, got, want)
		}
	}
	for _, line := range []string{"-only kills,nothing", "-only=", "-restarts -1", "-clients 3", "-seed x", "more"} {
		if _, err := parse(strings.Fields(line), io.Discard); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

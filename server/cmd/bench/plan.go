package main

import (
	"fmt"
	"time"
)

// load is so many letters over so many connections at once.
type load struct {
	connections int
	letters     int
}

// plan says how much work a run is.
type plan struct {
	rounds  int
	ingest  []load
	submit  load
	idle    int // connections that wait for a push
	probes  int // letters that are pushed, one after the other
	weighed int // idle connections whose memory is taken
	box     int // messages in the large mailbox
	bodies  int // of these, fetched whole
	points  int // fetched one by one
	// emptying is the drain of a full queue.
	emptying drainWork
	// most is how long the letters of one measure may be sent; what was not begun by then is left out.
	most time.Duration
	// drain is how long accepted letters may take to be seen.
	drain time.Duration
	// quiet is how long a measure waits for the machine to be idle, settle for its memory not to change any more.
	quiet, settle time.Duration
	// deadline ends the run, foreign is added to it for the independent generator.
	deadline, foreign time.Duration
}

// drainWork says how much the drain of a full queue is.
type drainWork struct {
	messages     int
	destinations int
	pairs        int           // of rounds: all destinations alive, and one dead
	stall        time.Duration // how long nothing may come
}

// perLetter is a most generous time for a letter to be accepted, copied or sent.
const perLetter = 10 * time.Millisecond

// deadline is how long all of it may take at most.
func (w drainWork) deadline() time.Duration {
	return time.Duration(1+2*w.pairs) * (2*time.Minute + time.Duration(w.messages)*perLetter)
}

// perLogin and perConnection are how many letters go over one connection before the next one is opened.
const (
	perLogin      = 50
	perConnection = 100
)

func quickPlan() plan {
	return plan{
		rounds: 1,
		ingest: []load{{1, 150}, {8, 600}, {32, 900}}, submit: load{8, 400},
		idle: 500, probes: 20, weighed: 1_000, box: 2_000, bodies: 2_000, points: 200,
		emptying: drainWork{messages: 5_000, destinations: 100, pairs: 3, stall: time.Minute},
		most:     10 * time.Second, drain: 20 * time.Second, quiet: time.Second, settle: 6 * time.Second,
		deadline: 3 * time.Minute, foreign: 90 * time.Second,
	}
}

func fullPlan() plan {
	return plan{
		rounds: 3,
		ingest: []load{{1, 200}, {8, 800}, {32, 1_500}}, submit: load{8, 500},
		idle: 500, probes: 40, weighed: 2_000, box: 10_000, bodies: 2_000, points: 300,
		emptying: drainWork{messages: 100_000, destinations: 1_000, pairs: 2, stall: time.Minute},
		most:     20 * time.Second, drain: 60 * time.Second, quiet: 5 * time.Second, settle: 15 * time.Second,
		deadline: 15 * time.Minute, foreign: 5 * time.Minute,
	}
}

// measure is one thing that is measured on both servers, one after the other.
type measure struct {
	name string
	run  func(*runner, *bout) error
	// once measures are taken before the rounds.
	once bool
	// fresh servers were started for it and have served nobody yet.
	fresh bool
	// sends measures need a server that delivers to the sink.
	sends bool
	// foreign measures are taken by the independent generator.
	foreign bool
}

// measures lists everything in its order.
func (p plan) measures() []measure {
	list := []measure{
		{name: "memory", run: (*runner).memory, once: true, fresh: true},
		{name: "fill", run: (*runner).fill, once: true},
	}
	for _, l := range p.ingest {
		list = append(list, measure{name: fmt.Sprintf("ingest C=%d", l.connections), run: func(r *runner, b *bout) error { return r.ingest(b, l) }})
		if l.connections == foreignConnections {
			list = append(list, measure{
				name: fmt.Sprintf("ingest C=%d by mailbench", l.connections), foreign: true,
				run: func(r *runner, b *bout) error { return r.foreignIngest(b, l) },
			})
		}
	}
	return append(list,
		measure{name: "submission", run: (*runner).submit, sends: true},
		measure{name: "push", run: (*runner).push},
		measure{name: "push by mailbench", run: (*runner).foreignPush, foreign: true},
		measure{name: "fetch", run: (*runner).fetch},
	)
}

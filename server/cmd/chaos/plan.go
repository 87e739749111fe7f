package main

import "time"

// ending is how a run of the server ends.
type ending int

const (
	kill      ending = iota // SIGKILL
	interrupt               // SIGTERM: the server ends by itself
)

// step is one life of the server: how long it serves under load, and how it ends.
type step struct {
	ending ending
	// whole sends SIGKILL to the server's database too, at the same moment. Otherwise it ends by itself when the server is gone,
	// and has the time to write down what it holds.
	whole bool
	// share is the time under load as a multiple of the mean.
	share float64
	// again kills the next start too, before any load: when it is ready (early 0) or this long after it was started. The
	// server then has to recover by itself what a first kill left, since verify has not been there.
	again bool
	early time.Duration
}

// shortest and longest bound a start that is killed before it is ready.
const (
	shortest = 50 * time.Millisecond
	longest  = 1500 * time.Millisecond
)

// makePlan shuffles the kills and the stops. Every second kill is one of everything; every fourth is followed by a second one during or right after the start.
func makePlan(seed uint64, kills, stops int) []step {
	d := newDice(seed, 0)
	steps := make([]step, 0, kills+stops)
	for i := range kills {
		s := step{ending: kill, whole: i%2 == 1, share: 0.2 + 1.6*d.Float64()}
		if i%4 == 3 {
			s.again = true
		}
		if i%8 == 7 {
			s.early = shortest + time.Duration(d.Float64()*float64(longest-shortest))
		}
		steps = append(steps, s)
	}
	for range stops {
		steps = append(steps, step{ending: interrupt, share: 0.2 + 1.6*d.Float64()})
	}
	d.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	return steps
}

// uptime turns a share into time, so that the steps that are left fit into the time that is left.
func (s step) uptime(left time.Duration, steps int, overhead time.Duration) time.Duration {
	mean := max(left/time.Duration(max(steps, 1))-overhead, time.Second)
	return time.Duration(s.share * float64(mean))
}

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

// The streams of the dice of the plans; see newDice. Each part has its own, so that a part alone does what it does among others.
const (
	streamKills    = 0
	streamPorts    = 1 << 32 // and one more for each further server
	streamAway     = 1 << 33
	streamFar      = 1 << 37
	streamDatabase = 1 << 34
	streamDisk     = 1 << 35
	streamRestarts = 1 << 36
)

// planKills shuffles the kills and the stops. Every second kill is one of everything; every fourth is followed by a second one during or right after the start.
func planKills(seed uint64, kills, stops int) []step {
	d := newDice(seed, streamKills)
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

// cut is one end of the database below a living server.
type cut struct {
	after time.Duration // under load
	// halfway waits for a moment in which another server has taken a message and not yet answered.
	halfway bool
}

// planCuts spreads the ends of the database. The pauses are short enough that some come while the server still waits to start it
// once more, if it makes a second end so soon a reason to wait.
func planCuts(seed uint64, n int) []cut {
	d := newDice(seed, streamDatabase)
	cuts := make([]cut, n)
	for i := range cuts {
		cuts[i] = cut{after: between(d, 2*time.Second, 9*time.Second), halfway: i%2 == 1}
	}
	return cuts
}

// filling is one time in which a volume is full.
type filling struct {
	what lack
	hold time.Duration
	// kill ends the database in the middle: it has to start again where there is no room.
	kill bool
}

// planFillings takes the kinds in turn.
func planFillings(seed uint64, n int) []filling {
	d := newDice(seed, streamDisk)
	kinds := [...]filling{{what: lackRoom}, {what: lackFiles}, {what: lackDatabaseRoom}, {what: lackDatabaseRoom, kill: true}}
	list := make([]filling, n)
	for i := range list {
		list[i] = kinds[i%len(kinds)]
		list[i].hold = between(d, 6*time.Second, 10*time.Second)
	}
	return list
}

// planRestarts gives the time under load between the moment at which every way of mail works again and the next SIGTERM.
func planRestarts(seed uint64, n int) []time.Duration {
	d := newDice(seed, streamRestarts)
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = between(d, 0, 400*time.Millisecond)
	}
	return list
}

func between(d dice, least, most time.Duration) time.Duration {
	return least + time.Duration(d.Float64()*float64(most-least))
}

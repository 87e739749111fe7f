package main

import "math/rand/v2"

// dice is the chance of one client or plan. The same seed and stream give the same throws.
type dice struct{ *rand.Rand }

func newDice(seed, stream uint64) dice {
	return dice{rand.New(rand.NewPCG(seed, stream))} //nolint:gosec // must be repeatable, not secret
}

// chance is true in percent of all throws.
func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// pick gives one of the values.
func pick[T any](d dice, values ...T) T { return values[d.IntN(len(values))] }

// Package stats counts what happened and samples what is, so that people can see how a server does over time.
//
// Counts come from the ledger and from nowhere else: one transaction takes the next events in order, adds them to the sums of
// their minute, hour and day, and moves the cursor. So each event is counted exactly once, whichever node does it and however
// often a node is killed. Refusals leave no event; they and the gauges are what each node measures of itself.
//
// The package owns the sums and decides who may see which. It must not know what an event means beyond its type, and it asks
// the owners of all other tables for their numbers.
package stats

package main

import "slices"

// stops holds every SIGTERM against what was under way: each letter is taken, told to come back, or cut off before it was sent
// whole. A letter that was sent whole and has no answer may arrive twice for no reason (F-18, I-55).
func (c *checker) stops() {
	for _, op := range c.h.ops {
		if op.outcome == evTold || op.outcome == evSeen || op.Kind == kindSelect {
			continue
		}
		met := slices.IndexFunc(c.d.stops, func(stop span) bool { return op.during(stop) })
		if met < 0 {
			continue
		}
		way := wayName(wayOf(op.Kind))
		u := c.underway[way]
		u.count(op)
		c.underway[way] = u
		if (op.Kind == kindSMTP || op.Kind == kindSubmission) && op.outcome == evUnknown {
			c.say(classCut, "SIGTERM %d cut off %s of %s, which was sent whole and got no answer: %s", met+1, op.Kind, op.ID, op.Reply)
		}
	}
}

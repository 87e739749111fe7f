package main

import "strconv"

// replies counts what clients heard in one trouble.
type replies struct {
	Acked int `json:"acknowledged"`
	// Later counts every temporary no: "smtp 451", "imap UNAVAILABLE", "api 503".
	Later map[string]int `json:"later"`
	// Wrong counts those that nobody must be told.
	Wrong int `json:"wrong"`
	// Broken counts operations whose connection ended, Doubtful those refused ones that may have happened.
	Broken   int `json:"broken"`
	Doubtful int `json:"doubtful"`
}

// during counts, for each trouble, what was under way in it.
func (c *checker) during() []replies {
	out := make([]replies, len(c.d.troubles))
	for i := range out {
		out[i].Later = map[string]int{}
	}
	for _, op := range c.h.ops {
		for i, t := range c.d.troubles {
			if op.during(t.span) {
				out[i].count(op, t)
			}
		}
	}
	for i, t := range c.d.troubles {
		if t.what.disk() && len(out[i].Later) == 0 {
			c.say(classInternal, "without %s nothing was refused: the volume was not full", t.what)
		}
	}
	return out
}

func (r *replies) count(op *operation, t trouble) {
	switch op.outcome {
	case evAck:
		if op.Kind != kindSelect {
			r.Acked++
		}
	case evRefused, evTold:
		if wrong(op.Kind, op.Reply, t.what) != "" {
			r.Wrong++
			return
		}
		r.Later[later(op)]++
		if doubtful(op, []trouble{t}) {
			r.Doubtful++
		}
	case evUnsent, evUnknown:
		r.Broken++
	}
}

// later names a temporary no by the way it came and its code.
func later(op *operation) string {
	switch op.Kind {
	case kindGreeting, kindAuth:
		return "submission " + strconv.Itoa(codeOf(op.Reply))
	case kindSMTP, kindSubmission, kindAPI:
		return op.Kind + " " + strconv.Itoa(codeOf(op.Reply))
	case kindGet:
		return "api " + strconv.Itoa(codeOf(op.Reply))
	}
	return "imap NO"
}

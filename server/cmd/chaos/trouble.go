package main

import "time"

// lack is what the server was without.
type lack string

const (
	lackDatabase     lack = "the database"
	lackRoom         lack = "room for messages"
	lackFiles        lack = "inodes for messages"
	lackDatabaseRoom lack = "room for the database"
)

// database says that the server could not ask its database, or not write to it: what it refused then may have happened all the
// same, since the answer to a COMMIT may be lost (D-12).
func (l lack) database() bool { return l == lackDatabase || l == lackDatabaseRoom }

// disk says that a volume was full.
func (l lack) disk() bool { return l != lackDatabase }

// trouble is a time in which the server lacked something, from the moment at which we took it away until every way of mail had
// worked again.
type trouble struct {
	span

	what lack
}

// doubtful says that nobody can know whether a refused operation has had an effect: it met a database that was away, and was not
// refused before there was anything to accept.
func doubtful(op *operation, troubles []trouble) bool {
	if op.outcome != evRefused || op.Step != "" && op.Step != stepDot {
		return false
	}
	for _, t := range troubles {
		if t.what.database() && op.during(t.span) {
			return true
		}
	}
	return false
}

// backWithin is how soon after the end of a trouble every way of mail works again (F-7).
const backWithin = 10 * time.Second

// underway says how the operations fared that were under way in a time.
type underway struct {
	Finished int `json:"finished"` // acknowledged
	Later    int `json:"later"`    // a temporary no
	Unsent   int `json:"unsent"`   // cut off before anything was sent whole
	Unknown  int `json:"unknown"`  // cut off later
}

func (u *underway) add(o underway) {
	u.Finished += o.Finished
	u.Later += o.Later
	u.Unsent += o.Unsent
	u.Unknown += o.Unknown
}

func (u *underway) count(op *operation) {
	switch op.outcome {
	case evAck:
		u.Finished++
	case evRefused:
		u.Later++
	case evUnsent:
		u.Unsent++
	case evUnknown:
		u.Unknown++
	}
}

package main

import (
	"slices"
	"strings"
	"time"
)

// fate is what becomes of an acknowledged operation in the eyes of the checker.
type fate struct {
	op         *operation
	lost       bool // its effect is not there
	corrupt    bool
	superseded bool // a later operation took its place, and nothing of it can be seen any more
}

// copyState is what the ledger says of one message in one mailbox.
type copyState struct {
	place
	id string
	// made is the operation that put it there, flagged the last that set its flags; nil for what was only seen.
	made, flagged *fate
	// flags lists the sets of flags that it may have: one, or two after an unknown STORE.
	flags [][]string
	// gone is set by an acknowledged removal. doubt says that a removal or a move has an unknown outcome.
	gone, doubt bool
	removed     *fate
}

// loose is an effect whose UID the client never learned: an unknown APPEND, COPY or MOVE, or one without a UID in its reply.
type loose struct {
	box boxName
	id  string
	op  *fate
	// at least min and at most max more messages of this id lie in the mailbox.
	min, max int
	// from is the source of an unknown MOVE: the message lies in exactly one of the two mailboxes.
	from *copyState
}

// arrival is a letter for one recipient: how many attempts had which outcome.
type arrival struct {
	acked, unknown int
}

// most is how many may be there.
func (a *arrival) most(keyed bool) int {
	if keyed {
		return min(1, a.acked+a.unknown)
	}
	return min(1, a.acked) + a.unknown
}

// least is how many must be there.
func (a *arrival) least() int { return min(1, a.acked) }

// mailing is a letter with all its recipients.
type mailing struct {
	id, sum, kind string
	from          string
	keyed         bool
	recipients    []string
	arrival       arrival   // the same for each recipient
	fates         []*fate   // of the acknowledged attempts
	acked         time.Time // when the first of them was
	emailIDs      []string
}

// claimKey names a letter of an account.
type claimKey struct{ account, id string }

// history is the ledger, replayed.
type history struct {
	ops      []*operation
	fates    map[*operation]*fate // of acknowledged operations
	mailings map[string]*mailing
	sums     map[string]string // by id, of everything that was ever sent
	copies   map[place]*copyState
	order    []*copyState // the copies, in the order in which they were made
	loose    []*loose
	claims   map[claimKey]int
	// reused are places that were given to two messages.
	reused []place
}

// replay tells the ledger's story. troubles are the times in which a refused operation may have happened all the same.
func replay(ops []*operation, troubles []trouble) *history {
	h := &history{
		ops: ops, fates: map[*operation]*fate{}, mailings: map[string]*mailing{}, sums: map[string]string{},
		copies: map[place]*copyState{}, claims: map[claimKey]int{},
	}
	for _, op := range ops {
		f := &fate{op: op}
		if op.outcome == evAck {
			h.fates[op] = f
		}
		h.apply(op, f, doubtful(op, troubles))
	}
	return h
}

func (h *history) apply(op *operation, f *fate, doubt bool) {
	if op.outcome == evTold {
		return
	}
	if op.Sum != "" {
		h.sums[op.ID] = op.Sum
	}
	if (op.outcome == evRefused || op.outcome == evUnsent) && !doubt {
		if op.Kind == kindSMTP || op.Kind == kindSubmission || op.Kind == kindAPI {
			h.mailing(op) // it must not arrive
		}
		return
	}
	switch op.Kind {
	case kindSMTP, kindSubmission, kindAPI:
		h.attempt(op, f)
	case kindClaim:
		h.claims[claimKey{op.Account, op.ID}]++
		h.put(place{boxName{op.Account, op.Mailbox}, op.UID}, op.ID, nil, [][]string{op.Flags})
	case kindAppend:
		h.into(op, f, [][]string{op.Flags}, nil)
	default:
		h.change(op, f)
	}
}

func (h *history) mailing(op *operation) *mailing {
	m := h.mailings[op.ID]
	if m == nil {
		m = &mailing{id: op.ID, sum: op.Sum, kind: op.Kind, from: op.From, keyed: op.Key != "", recipients: op.Recipients}
		h.mailings[op.ID] = m
	}
	return m
}

func (h *history) attempt(op *operation, f *fate) {
	m := h.mailing(op)
	if op.outcome != evAck {
		m.arrival.unknown++
		return
	}
	if m.arrival.acked == 0 {
		m.acked = op.At.Add(op.took)
	}
	m.arrival.acked++
	m.fates = append(m.fates, f)
	if op.EmailID != "" && !slices.Contains(m.emailIDs, op.EmailID) {
		m.emailIDs = append(m.emailIDs, op.EmailID)
	}
}

// into is the effect of APPEND, COPY and MOVE in the target mailbox.
func (h *history) into(op *operation, f *fate, flags [][]string, from *copyState) {
	box := boxName{op.Account, op.To}
	switch {
	case op.outcome == evAck && op.ToUID != 0:
		h.put(place{box, op.ToUID}, op.ID, f, flags)
	case op.outcome == evAck:
		h.loose = append(h.loose, &loose{box: box, id: op.ID, op: f, min: 1, max: 1})
	default:
		h.loose = append(h.loose, &loose{box: box, id: op.ID, op: f, max: 1, from: from})
	}
}

// put notes a message at a place.
func (h *history) put(at place, id string, made *fate, flags [][]string) {
	if before := h.copies[at]; before != nil {
		if before.id != id || made != nil {
			h.reused = append(h.reused, at)
		}
		return
	}
	c := &copyState{place: at, id: id, made: made, flags: flags}
	h.copies[at] = c
	h.order = append(h.order, c)
}

// change is a STORE, COPY, MOVE or EXPUNGE of a message that the ledger knows.
func (h *history) change(op *operation, f *fate) {
	c := h.copies[place{boxName{op.Account, op.Mailbox}, op.UID}]
	if c == nil {
		return // a SELECT
	}
	acked := op.outcome == evAck
	switch op.Kind {
	case kindStore:
		if !acked {
			c.flags = append(slices.Clone(c.flags), op.Flags)
			return
		}
		supersede(c.flagged)
		c.flags, c.flagged = [][]string{op.Flags}, f
	case kindCopy:
		h.into(op, f, c.flags, nil)
	case kindMove:
		h.into(op, f, c.flags, c)
		c.leave(acked, nil)
	case kindExpunge:
		c.leave(acked, f)
	}
}

// leave notes that the message went away, or may have.
func (c *copyState) leave(acked bool, removed *fate) {
	if !acked {
		c.doubt = true
		return
	}
	c.gone, c.removed = true, removed
	supersede(c.made)
	supersede(c.flagged)
}

func supersede(f *fate) {
	if f != nil {
		f.superseded = true
	}
}

// sameFlags compares two sets.
func sameFlags(a, b []string) bool {
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}

// account is the local part of an address of the demo domain; empty for addresses of other servers.
func account(address string) string {
	if isFar(address) {
		return ""
	}
	local, _, _ := strings.Cut(address, "@")
	return local
}

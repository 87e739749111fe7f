package mailbox

import "context"

// selection is how a statement finds messages of a mailbox: by one range of uids, or by a list of them. Both have estimates that
// PostgreSQL can make; a join with many ranges has not, and then a STORE of ten messages reads the whole table. $1 is the
// mailbox in all such statements.
type selection struct {
	uids UIDRanges // what is selected, sorted and disjoint
}

// The two conditions take the same number of parameters.
const (
	inRange = ` AND mm.uid BETWEEN $2::int AND $3::int`
	inList  = ` AND mm.uid = ANY ($2::int[]) AND mm.uid >= $3::int`
)

// listedBlindly is the largest list that is made without a look at which uids there are.
const listedBlindly = 1000

// pick makes a selection of the messages of m that are in the set. Many ranges that hold many uids are narrowed to the messages
// that there are.
func (s *Service) pick(ctx context.Context, m Mailbox, uids UIDRanges) (selection, error) {
	uids = uids.Normal()
	if len(uids) <= 1 || uids.Count() <= listedBlindly {
		return selection{uids}, nil
	}
	v, err := s.current(ctx, m)
	if err != nil {
		return selection{}, err
	}
	return narrow(v, uids), nil
}

// narrow gives the uids of the set that the view has; one range when no other message lies between them.
func narrow(v *View, uids UIDRanges) selection {
	var have adder
	first, last, n := 0, 0, 0
	for i, e := range v.In(uids) {
		if n == 0 {
			first = i
		}
		last = i
		n++
		have.add(e.UID)
	}
	if n > 0 && last-first+1 == n {
		return selection{UIDRanges{{v.At(first).UID, v.At(last).UID}}}
	}
	return selection{have.set}
}

// everything selects all messages of a mailbox.
func everything() selection { return selection{AllUIDs()} }

func (p selection) empty() bool { return len(p.uids) == 0 }

// choose gives the statement for the form that the selection has.
func (p selection) choose(byRange, byList string) string {
	if len(p.uids) == 1 {
		return byRange
	}
	return byList
}

// args are the parameters $2 and $3 of the chosen statement.
func (p selection) args() (what, from any) {
	if len(p.uids) == 1 {
		return int32(p.uids[0].First), int32(p.uids[0].Last)
	}
	list := make([]int32, 0, p.uids.Count())
	for uid := range p.uids.All() {
		list = append(list, int32(uid))
	}
	return list, list[0]
}

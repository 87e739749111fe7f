package event

// The statements, for the tests of their plans.
const (
	SQLForward  = sqlForward
	SQLBackward = sqlBackward
	SQLSubject  = sqlSubject
	SQLWindow   = sqlWindow
	SQLCount    = sqlCount
)

// HoldBehind takes all turns of readers that are behind, until the function is called that it gives.
func (s *Service) HoldBehind() (release func()) {
	for range cap(s.behind) {
		s.behind <- struct{}{}
	}
	return func() {
		for range cap(s.behind) {
			<-s.behind
		}
	}
}

package obs

import "testing"

func TestASampleHasWhatWasRefusedAndWhatIsOpen(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.MessageRejected(ReasonUnknownUser)
	m.MessageRejected(ReasonGreylisted)
	m.ConnectionOpened(ConnIMAP)
	closed := m.ConnectionOpened(ConnSMTP)
	m.AuthAttempt(AuthFail, AuthSMTP)
	got := m.Sample()
	if got.Rejected != 2 || got.Connections[ConnIMAP] != 1 || got.Connections[ConnSMTP] != 1 || len(got.Connections) != 4 {
		t.Errorf("%+v", got)
	}
	if closed(); m.Sample().Connections[ConnSMTP] != 0 {
		t.Error("a closed connection counts")
	}
	var none *Metrics
	if got := none.Sample(); got.Rejected != 0 {
		t.Errorf("%+v", got)
	}
}

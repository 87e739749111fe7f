package event

// The statements, for the tests of their plans.
const (
	SQLForward  = sqlForward
	SQLBackward = sqlBackward
	SQLSubject  = sqlSubject
	SQLWindow   = sqlWindow
	SQLCount    = sqlCount
)

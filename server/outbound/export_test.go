package outbound

// What tests of the outside look at.
var (
	Summarise   = summarise
	SettleEmail = settleEmail
)

// The statements of the lists, to be explained.
const (
	SQLListEmails   = sqlListEmails
	SQLListEmailsTo = sqlListEmailsTo
	SQLListSink     = sqlListSink
	SQLDue          = sqlDue
)

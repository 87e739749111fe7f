package imapwire

// Limits bound what one command may cost. Sizes are bytes.
type Limits struct {
	// Command is the size of a command with its buffered literals, line ends not counted.
	Command int
	// Literals is the size of all buffered literals of one command. The message of APPEND is streamed and not counted.
	Literals int
	// Depth is how deep lists and search keys may nest.
	Depth int
	// SearchKeys is how many keys one SEARCH may have.
	SearchKeys int
	// Drain is how many bytes of a refused command are skipped to stay in step before the connection has to be closed.
	Drain int64
	// AppendDrain is how many bytes of a refused APPEND message are skipped.
	AppendDrain int64
}

// LimitsBeforeLogin are those of a client nobody knows yet (S-11).
func LimitsBeforeLogin() Limits {
	return Limits{
		Command:     50 << 10,
		Literals:    50 << 10,
		Depth:       50,
		SearchKeys:  1000,
		Drain:       256 << 10,
		AppendDrain: 256 << 10,
	}
}

// LimitsAfterLogin are those of a logged-in client. AppendDrain covers the largest message the server takes, so that a refusal
// for quota does not cost the connection.
func LimitsAfterLogin() Limits {
	return Limits{
		Command:     64 << 10,
		Literals:    64 << 10,
		Depth:       50,
		SearchKeys:  1000,
		Drain:       1 << 20,
		AppendDrain: 40 << 20,
	}
}

const (
	// MaxAuthLine is the longest AUTHENTICATE continuation line a client may send (RFC 4954 §4 has the same figure).
	MaxAuthLine = 12288

	maxTag         = 128
	maxName        = 255  // bytes of a mailbox name in UTF-8
	maxNameWire    = 1024 // bytes of the same name in modified UTF-7
	maxFlag        = 255
	maxPatterns    = 100
	maxFetchItems  = 512
	maxPartDepth   = 100
	maxIDFields    = 30   // RFC 2971 §3.3
	maxIDKey       = 30   // RFC 2971 §3.3
	maxIDValue     = 1024 // RFC 2971 §3.3
	keepReadBuffer = 8 << 10
	readBufferSize = 4 << 10
)

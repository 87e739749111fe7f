package main

import "time"

// world is what the server shows at the end, read over IMAP, the API and the disk, and what the other servers have.
type world struct {
	mailboxes []mailboxState
	messages  []message
	copies    []farCopy
	emails    map[string]emailState // by id
	files     []diskFile
	// api counts what the API shows of each mailbox, by account and name; nil when nothing was read.
	api map[boxName]apiBox
}

// boxName names a mailbox of an account.
type boxName struct{ account, mailbox string }

// place is where a message lies.
type place struct {
	box boxName
	uid uint32
}

// message is a message as FETCH shows it.
type message struct {
	place
	content

	flags  []string
	size   int64 // RFC822.SIZE
	bytes  int64 // that came
	notice *notice
}

// mailboxState is what the server says of a mailbox in three ways.
type mailboxState struct {
	boxName

	validity, next uint32
	exists         uint32 // of EXAMINE
	status         counters
	fetched        counters // summed up from FETCH
	searched       uint32   // hits of SEARCH ALL
}

type counters struct{ messages, unseen, bytes int64 }

// emailState is what became of an accepted email.
type emailState struct {
	ID         string           `json:"id"`
	Status     string           `json:"status"`
	Source     string           `json:"source"`
	From       string           `json:"from"`
	Subject    string           `json:"subject"`
	MessageID  string           `json:"message_id"`
	Recipients []recipientState `json:"recipients"`
}

type recipientState struct {
	Email    string `json:"email"`
	Status   string `json:"status"`
	Reply    string `json:"last_reply"`
	Attempts int    `json:"attempts"`
}

// deeds is what the run did to the server and to the others, as far as it explains what they show.
type deeds struct {
	habit func(address string) habit
	kills []killing
	stops []span // by SIGTERM: from the signal to the end of the process
	// troubles are the times in which the living server lacked something.
	troubles []trouble
	downs    map[string][]span
}

// killing is one SIGKILL.
type killing struct {
	how   string
	at    time.Time
	gone  time.Time // nothing of the server runs any more
	again time.Time // the next start; zero when there was none
}

// diskFile is a message file of an account.
type diskFile struct {
	account, name string
	content

	whole bool // it has the size that its name states
}

// apiBox is a mailbox as the API shows it.
type apiBox struct {
	messages, unseen, bytes int64
	items                   []apiItem // newest first
}

// apiItem is a message in the list of a mailbox.
type apiItem struct {
	id    string // of ours, from the subject; the whole subject when it is not ours
	size  int64
	flags []string
	// sampled says that the bytes were read too, and content what they hold.
	sampled bool
	content content
}

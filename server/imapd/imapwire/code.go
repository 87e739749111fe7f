package imapwire

import (
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// CodeAppendUID is APPENDUID (RFC 4315 §3), or nothing if either number is missing.
func CodeAppendUID(validity uint32, uid imap.UID) imap.ResponseCode {
	if validity == 0 || uid == 0 {
		return ""
	}
	return numCode("APPENDUID", uint64(validity)) + " " + imap.ResponseCode(strconv.FormatUint(uint64(uid), 10))
}

// CodeCopyUID is COPYUID (RFC 4315 §3). It is nothing if no message was copied, or if the two sets do not pair up: an empty set
// would break the line, and a wrong pairing is worse than none.
func CodeCopyUID(data *imap.CopyData) imap.ResponseCode {
	if data == nil || data.UIDValidity == 0 {
		return ""
	}
	from, to := countUIDs(data.SourceUIDs), countUIDs(data.DestUIDs)
	if from == 0 || from != to {
		return ""
	}
	return numCode("COPYUID", uint64(data.UIDValidity)) +
		imap.ResponseCode(" "+data.SourceUIDs.String()+" "+data.DestUIDs.String())
}

// countUIDs is the size of a set, 0 if it has "*" in it.
func countUIDs(set imap.UIDSet) uint64 {
	var n uint64
	for _, r := range set {
		if r.Start == 0 || r.Stop < r.Start {
			return 0
		}
		n += uint64(r.Stop-r.Start) + 1
	}
	return n
}

// CodeUIDNext is UIDNEXT.
func CodeUIDNext(uid imap.UID) imap.ResponseCode { return numCode("UIDNEXT", uint64(uid)) }

// CodeUIDValidity is UIDVALIDITY.
func CodeUIDValidity(validity uint32) imap.ResponseCode {
	return numCode("UIDVALIDITY", uint64(validity))
}

// CodeUnseen is UNSEEN, the first unseen message (RFC 3501 §7.1).
func CodeUnseen(seq uint32) imap.ResponseCode { return numCode("UNSEEN", uint64(seq)) }

// CodeHighestModSeq is HIGHESTMODSEQ (RFC 7162 §3.1.2.1).
func CodeHighestModSeq(modSeq uint64) imap.ResponseCode {
	return numCode("HIGHESTMODSEQ", modSeq)
}

func numCode(name string, n uint64) imap.ResponseCode {
	return imap.ResponseCode(name + " " + strconv.FormatUint(n, 10))
}

// CodeModified is MODIFIED (RFC 7162 §3.1.3), or nothing for an empty set.
func CodeModified(set imap.NumSet) imap.ResponseCode {
	if emptySet(set) {
		return ""
	}
	return imap.ResponseCode("MODIFIED " + set.String())
}

// CodePermanentFlags is PERMANENTFLAGS. What is not a flag is left out.
func CodePermanentFlags(flags []imap.Flag) imap.ResponseCode {
	names := make([]string, 0, len(flags))
	for _, f := range flags {
		if ValidFlag(f) {
			names = append(names, string(f))
		}
	}
	return imap.ResponseCode("PERMANENTFLAGS (" + strings.Join(names, " ") + ")")
}

// CodeCapability is CAPABILITY.
func CodeCapability(caps []imap.Cap) imap.ResponseCode {
	var code strings.Builder
	code.WriteString("CAPABILITY")
	for _, c := range caps {
		if isAtom(string(c)) {
			code.WriteByte(' ')
			code.WriteString(string(c))
		}
	}
	return imap.ResponseCode(code.String())
}

// CodeMailboxID is MAILBOXID (RFC 8474 §4.1).
func CodeMailboxID(id string) imap.ResponseCode {
	if !isAtom(id) {
		return ""
	}
	return imap.ResponseCode("MAILBOXID (" + id + ")")
}

func withoutNUL(s string) string {
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", "")
}

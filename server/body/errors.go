package body

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Codes of the errors of this package.
const (
	CodeFull    = "storage-full"
	CodeLow     = "storage-low"
	CodeDown    = "storage-unavailable"
	CodeMissing = "content_missing"
)

// diskFault gives an error of the file system its kind (I-43): no room is said as such, everything else that a device or a
// mount does is "try again later". What goes wrong is in the cause, for the log.
func diskFault(err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Wrap(err, fault.Storage, CodeFull, "the server has no room for this message; try again later")
	case errors.Is(err, fs.ErrNotExist):
		return missing(err)
	}
	return fault.Wrap(err, fault.Unavailable, CodeDown, "the message store is not available; try again later")
}

// IsMissing reports whether err says that a file is not in the store (D-27).
func IsMissing(err error) bool { return fault.Is(err, fault.Gone) && fault.CodeOf(err) == CodeMissing }

func missing(err error) error {
	return fault.Wrap(err, fault.Gone, CodeMissing, "the content of this message is missing from the store")
}

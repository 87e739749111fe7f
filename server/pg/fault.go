package pg

import (
	"errors"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Fault gives err the kind that edges answer with: fault.Storage when the database's disk is full, fault.Unavailable when the
// database cannot serve now. An error that has a kind already, and any other error, is returned as it is.
func Fault(err error) error {
	var have *fault.Error
	switch {
	case err == nil || errors.As(err, &have):
		return err
	case DiskFull(err):
		return fault.Wrap(err, fault.Storage, "storage-full", "the database has no room; try again later")
	case Unavailable(err):
		return fault.Wrap(err, fault.Unavailable, "unavailable", "the database is not available; try again in a moment")
	}
	return err
}

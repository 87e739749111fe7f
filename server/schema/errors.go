package schema

import (
	"fmt"
	"slices"
	"strings"
)

// NewerError says that the database has migrations that this binary does not know: a newer version has run on it.
type NewerError struct {
	// Unknown are the versions of such SQL files; River is the number of River's migration when that is the newer one, else 0.
	Unknown []int64
	River   int
}

func (e *NewerError) Error() string {
	var what []string
	for _, version := range e.Unknown {
		what = append(what, fmt.Sprintf("migration %d", version))
	}
	if e.River > 0 {
		what = append(what, fmt.Sprintf("queue migration %d", e.River))
	}
	return fmt.Sprintf("the database was changed by a newer version of this program (%s is unknown here): start that version",
		strings.Join(what, ", "))
}

// PendingError says that migrations have not been applied yet.
type PendingError struct {
	// Files are the names of the SQL files; Queue is whether River's tables are behind.
	Files []string
	Queue bool
}

func (e *PendingError) Error() string {
	what := e.Files
	if e.Queue {
		what = slices.Concat(what, []string{"tables of the queue"})
	}
	return fmt.Sprintf("the database lacks %d migrations (%s): run mailserver migrate", len(what), strings.Join(what, ", "))
}

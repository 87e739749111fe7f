package pg_test

import (
	"testing"

	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func TestEveryStatementIsPrepared(t *testing.T) {
	t.Parallel()
	pgtest.PrepareAll(t, pgtest.DB(t), ".")
}

package stats_test

import (
	"testing"

	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func TestEveryStatementFitsTheSchema(t *testing.T) {
	t.Parallel()
	pgtest.PrepareAll(t, pgtest.DB(t), ".")
}

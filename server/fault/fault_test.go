package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/fault"
)

func TestTheCauseIsNeverShown(t *testing.T) {
	t.Parallel()
	cause := errors.New("password=hunter2")
	err := fmt.Errorf("while x: %w", fault.Wrap(cause, fault.Unavailable, "unavailable", "try again later"))
	if got := fault.Public(err); got != "try again later" {
		t.Errorf("public text %q", got)
	}
	if strings.Contains(fault.Public(cause), "hunter2") {
		t.Error("an error without a kind was shown")
	}
	if !errors.Is(err, cause) || !fault.Is(err, fault.Unavailable) || fault.CodeOf(err) != "unavailable" {
		t.Error("kind, code or cause was lost on the way")
	}
	if fault.KindOf(cause) != fault.Internal || fault.Is(nil, fault.Internal) {
		t.Error("an unknown error is internal, no error is none")
	}
}

func TestOurOwnFaultsAreTemporary(t *testing.T) {
	t.Parallel()
	for k := fault.Internal; k <= fault.Unavailable; k++ {
		if k.String() == "unknown" {
			t.Errorf("kind %d has no name", k)
		}
	}
	for _, k := range []fault.Kind{fault.Internal, fault.Storage, fault.Unavailable, fault.OverQuota, fault.Limited} {
		if !k.Temporary() {
			t.Errorf("%s would lose a sender's mail for ever", k)
		}
	}
}

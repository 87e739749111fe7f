package pg

import (
	"errors"
	"strings"
	"testing"
)

func TestOnlyDurableServersPass_D4(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		facts facts
		want  string // the setting in the error, "" for none
	}{
		"safe":              {facts{150000, "on", "on", "on"}, ""},
		"replicated":        {facts{180001, "on", "on", "remote_apply"}, ""},
		"no fsync":          {facts{150000, "off", "on", "on"}, "fsync"},
		"torn pages":        {facts{150000, "on", "off", "on"}, "full_page_writes"},
		"asynchronous":      {facts{150000, "on", "on", "off"}, "synchronous_commit"},
		"local only":        {facts{150000, "on", "on", "local"}, "synchronous_commit"},
		"not flushed there": {facts{150000, "on", "on", "remote_write"}, "synchronous_commit"},
	} {
		err := test.facts.judge()
		var unsafe *UnsafeError
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (!errors.As(err, &unsafe) || unsafe.Setting != test.want || !strings.Contains(err.Error(), "Set "+test.want+"=on")):
			t.Errorf("%s: %v", name, err)
		}
	}
	var old *VersionError
	if err := (facts{140012, "on", "on", "on"}).judge(); !errors.As(err, &old) || !strings.Contains(err.Error(), "PostgreSQL 14") {
		t.Errorf("version 14: %v", err)
	}
}

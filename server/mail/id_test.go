package mail_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// The example of the TypeID specification, so that other programs read our ids.
func TestIDsAreTypeIDs(t *testing.T) {
	t.Parallel()
	id, err := mail.ParseID[kindForTest]("prefix_01h455vb4pex5vsknk084sn02q")
	if err != nil {
		t.Fatal(err)
	}
	if got := id.UUID(); got != "01890a5d-ac96-774b-bcce-b302099a8057" {
		t.Fatalf("uuid %s", got)
	}
	if got := id.String(); got != "prefix_01h455vb4pex5vsknk084sn02q" {
		t.Fatalf("text %s", got)
	}
}

type kindForTest struct{}

func (kindForTest) Prefix() string { return "prefix" }

func TestAnIDOfAnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)
	user := mail.NewID[kindForTest](now).String()
	for _, s := range []string{user, "", "dom_", "dom_01h455vb4pex5vsknk084sn02", "dom_81h455vb4pex5vsknk084sn02q", "dom_01h455vb4pex5vsknk084sn0lq"} {
		var id mail.DomainID
		if err := id.UnmarshalText([]byte(s)); err == nil && s != "" {
			t.Errorf("%q was read as a domain's id", s)
		}
	}
}

func TestIDsSurviveJSONAndTheDatabaseAndKeepTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 15, 0, 0, 123e6, time.UTC)
	var ids []string
	for i := range 100 {
		at := now.Add(time.Duration(i) * time.Millisecond)
		var id mail.UserID
		raw, _ := json.Marshal(mail.NewID[kindForTest](at))
		_ = raw
		id = mail.UserID(mail.NewID[kindForTest](at))
		text, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		var back, scanned mail.UserID
		if err := json.Unmarshal(text, &back); err != nil || back != id {
			t.Fatalf("%s came back as %v, %v", text, back, err)
		}
		if err := scanned.Scan(id.UUID()); err != nil || scanned != id {
			t.Fatalf("scan: %v, %v", scanned, err)
		}
		if !id.Time().Equal(at) {
			t.Fatalf("time %v, want %v", id.Time(), at)
		}
		ids = append(ids, id.String())
	}
	if !slices.IsSorted(ids) {
		t.Fatal("ids of later instants sort before earlier ones")
	}
}

package imapd

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mailbox"
)

func TestPatternsOfLIST(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true},
		{"%", "a", true},
		{"%", "a/b", false},
		{"%/%", "a/b", true},
		{"a/%", "a/b", true},
		{"a/%", "a/b/c", false},
		{"a*c", "a/b/c", true},
		{"a%c", "abc", true},
		{"a%c", "a/c", false},
		{"", "a", false},
		{"a", "A", false},
		{"inbox", "INBOX", true},
		{"InB%", "INBOX", true},
		{"inbox/x", "INBOX/x", true},
		{"inbox/X", "INBOX/x", false},
		{"inboxes", "inboxes", true},
		{"INBOXES", "inboxes", false},
		{"*%*%*", "abc", true},
		{"Entwür%", "Entwürfe", true},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestAPatternOfManyWildcardsTakesNoTime_S33(t *testing.T) {
	t.Parallel()
	if matches(strings.Repeat("*a", 120)+"b", strings.Repeat("a", 255)) {
		t.Error("matched")
	}
}

func TestHierarchyHasTheLevelsThatNobodyMade(t *testing.T) {
	t.Parallel()
	nodes := hierarchy([]mailbox.Mailbox{{Name: "z/y/x"}, {Name: "INBOX", Subscribed: true}, {Name: "a"}}, []string{"gone/away"})
	var names []string
	for _, n := range nodes {
		names = append(names, n.name)
	}
	if got := strings.Join(names, " "); got != "INBOX a gone gone/away z z/y z/y/x" {
		t.Error(got)
	}
	if z := nodes[4]; z.box != nil || !z.children || z.subscribed {
		t.Errorf("%+v", z)
	}
	if g := nodes[2]; g.box != nil || g.children || g.subscribed {
		t.Errorf("%+v", g)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLedgerGivesBackWhatManyClientsWrote_F1(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := openLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	const clients, each = 20, 50
	for range clients {
		wait.Go(func() {
			for i := range each {
				n := l.add(entry{Event: evIntent, Kind: kindAppend, ID: "x", To: "A"})
				if i%2 == 0 {
					l.add(entry{Event: evAck, Op: n, Kind: kindAppend, ToUID: uint32(i + 1), Validity: 7})
				}
			}
		})
	}
	wait.Wait()
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if n := l.add(entry{Event: evIntent}); n != 0 {
		t.Error("a closed ledger takes entries")
	}
	ops, err := readLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	acked := 0
	for i, op := range ops {
		if i > 0 && op.N <= ops[i-1].N {
			t.Fatal("operations are not in the order of their intents")
		}
		if op.end <= op.N {
			t.Fatalf("operation %d ends at %d", op.N, op.end)
		}
		if op.outcome == evAck {
			acked++
			if op.ToUID == 0 || op.Validity != 7 || op.To != "A" {
				t.Fatalf("the outcome lost something: %+v", op)
			}
		}
	}
	if len(ops) != clients*each || acked != len(ops)/2 {
		t.Errorf("%d operations, %d acknowledged", len(ops), acked)
	}
}

func TestEntryIsOnDiskWhenItsCallReturns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := openLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.close() }()
	l.add(entry{Event: evIntent, Kind: kindSMTP, ID: "here"})
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), "here") || !strings.HasSuffix(string(raw), "\n") {
		t.Errorf("the file holds %q, %v", raw, err)
	}
}

func TestDamagedLedgerIsNoBasisForAVerdict(t *testing.T) {
	t.Parallel()
	const first = `{"n":1,"event":"intent","kind":"smtp","id":"a"}` + "\n"
	for name, text := range map[string]string{
		"gap":               first + `{"n":3,"event":"ack","op":1}` + "\n",
		"outcome of nobody": first + `{"n":2,"event":"ack","op":7}` + "\n",
		"two outcomes":      first + `{"n":2,"event":"ack","op":1}` + "\n" + `{"n":3,"event":"ack","op":1}` + "\n",
		"no JSON":           first + "{\n",
	} {
		if _, err := parseLedger(strings.NewReader(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	ops, err := parseLedger(strings.NewReader(first + `{"n":2,"ev`))
	if err != nil || len(ops) != 1 || ops[0].outcome != evUnknown {
		t.Errorf("a last line without its end: %v, %v", ops, err)
	}
}

// What was told outside of an operation, the step of a refusal and the server must come back, or wrong replies go unjudged.
func TestLedgerGivesBackWhatWasToldAndByWhom_F1(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := openLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	c := (&load{ledger: l, gate: newGate(), seed: 1, site: "disk", tag: "d"}).client("a0", 1)
	c.told(&target{life: 3}, kindAuth, "454 4.7.0 later")
	op := c.begin(&target{life: 3}, entry{Kind: kindSMTP, ID: c.nextID()})
	op.end(evRefused, "451 4.3.0 later", entry{Step: stepDot})
	c.begin(&target{life: 3}, entry{Kind: kindAPI}).end(evAck, "202", entry{EmailID: "eml_1"})
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	ops, err := readLedger(path)
	if err != nil || len(ops) != 3 {
		t.Fatalf("%d operations, %v", len(ops), err)
	}
	for i, want := range []entry{
		{Event: evTold, Kind: kindAuth, Reply: "454 4.7.0 later"},
		{Event: evIntent, Kind: kindSMTP, ID: "k1-da0-000001", Reply: "451 4.3.0 later", Step: stepDot},
		{Event: evIntent, Kind: kindAPI, Reply: "202", EmailID: "eml_1"},
	} {
		got := ops[i].entry
		if got.Site != "disk" || got.Who != "da0" || got.Life != 3 || got.Event != want.Event || got.Kind != want.Kind || got.ID != want.ID ||
			got.Reply != want.Reply || got.Step != want.Step || got.EmailID != want.EmailID {
			t.Errorf("entry %d: %+v", i, got)
		}
	}
	if ops[0].outcome != evTold || ops[1].outcome != evRefused || c.taken != 1 || c.refused != 1 || c.marks[wayAPI].Load() != 1 || c.marks[waySMTP].Load() != 0 {
		t.Errorf("outcomes %s and %s; %d taken, %d refused", ops[0].outcome, ops[1].outcome, c.taken, c.refused)
	}
}

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

package main

import (
	"bytes"
	"mime/quotedprintable"
	"strings"
	"testing"
)

func TestSumOfALetterIsThatBelowTheTrace(t *testing.T) {
	t.Parallel()
	p := compose(newDice(1, 1), "k1", "a@x.test", []string{"alice@demo.test"})
	stored := append([]byte("Return-Path: <a@x.test>\r\nReceived: by x\r\n\tid 7;\r\n\tnow\r\n"), p.raw...)
	got := examine(stored)
	if got.id != "k1" || !got.holds(p.sum) || examine(p.raw) != got && examine(p.raw).tail != got.tail {
		t.Fatalf("%+v does not hold %s", got, p.sum)
	}
	for name, change := range map[string]func([]byte) []byte{
		"cut short":    func(b []byte) []byte { return b[:len(b)-1] },
		"bit flipped":  func(b []byte) []byte { b[len(b)-9] ^= 1; return b },
		"line doubled": func(b []byte) []byte { return append(b, "x\r\n"...) },
		"header field": func(b []byte) []byte { return bytes.Replace(b, []byte("chaos k1"), []byte("chaos k2"), 1) },
	} {
		if examine(change(bytes.Clone(stored))).holds(p.sum) {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestSumOfAnEmailIsThatOfItsText(t *testing.T) {
	t.Parallel()
	p := composeText(newDice(1, 1), "k2")
	var encoded bytes.Buffer
	w := quotedprintable.NewWriter(&encoded)
	if _, err := w.Write([]byte(strings.ReplaceAll(p.text, "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
	w.Close()
	header := "Received: x\r\nFrom: a@b.test\r\n" + idField + ": k2\r\nContent-Type: text/plain\r\n"
	for _, stored := range []string{
		header + "\r\n" + strings.ReplaceAll(p.text, "\n", "\r\n"),
		header + "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + encoded.String(),
	} {
		if got := examine([]byte(stored)); got.id != "k2" || !got.holds(p.sum) {
			t.Errorf("%+v does not hold %s", got, p.sum)
		}
		if examine([]byte(strings.Replace(stored, p.text[:8], "00000000", 1))).holds(p.sum) {
			t.Error("a changed text was not noticed")
		}
	}
}

func TestMessageThatIsNotOursHasNoID(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "Subject: x\r\n\r\n" + idField + ": k3\r\n", "Subject: x\r\n"} {
		if got := examine([]byte(raw)); got.id != "" {
			t.Errorf("%q has the id %q", raw, got.id)
		}
	}
}

package imapwire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// silent is a client that says each of its words when the test lets it.
type silent struct {
	asked chan struct{}
	word  chan string
}

func newSilent() *silent { return &silent{asked: make(chan struct{}), word: make(chan string)} }

func (s *silent) Read(p []byte) (int, error) {
	s.asked <- struct{}{}
	return copy(p, <-s.word), nil
}

// A thousand clients in IDLE must not each keep a buffer for what they are not saying.
func TestASilentClientHoldsNoReadBuffer(t *testing.T) {
	t.Parallel()
	var buffers Buffers
	c := newSilent()
	r := NewReader(c, LimitsAfterLogin(), nil)
	r.Share(&buffers)
	for _, wait := range []func() error{
		r.Wait,
		func() error { _, err := r.ReadLine(100); return err },
	} {
		waited := make(chan error, 1)
		go func() { waited <- wait() }()
		<-c.asked
		if r.in.br != nil {
			t.Error("a buffer is held")
		}
		c.word <- "DONE\r\n"
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		r.Discard()
	}
}

// However the octets of commands arrive, and whoever used a buffer before, the commands are the same.
func TestCommandsAreReadAcrossTheBordersOfBuffers(t *testing.T) {
	t.Parallel()
	long := "c3 LOGIN " + strings.Repeat("u", 5000) + " {3}\r\nabc\r\n"
	text := "c1 NOOP\r\nc2 SELECT " + strings.Repeat("b", 80) + "\r\n" + long + "c4 NOOP\r\n"
	var buffers Buffers
	other := NewReader(strings.NewReader("x SELECT secret\r\n"), LimitsAfterLogin(), nil)
	other.Share(&buffers)
	if _, err := other.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	other.Discard()
	for name, source := range map[string]io.Reader{
		"at once": strings.NewReader(text), "by halves": iotest.HalfReader(strings.NewReader(text)),
		"by octets": iotest.OneByteReader(strings.NewReader(text)), "with the end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		r := NewReader(source, LimitsAfterLogin(), func(string) error { return nil })
		r.Share(&buffers)
		for _, tag := range []string{"c1", "c2", "c3", "c4"} {
			if err := r.Wait(); err != nil {
				t.Fatalf("%s: before %s: %v", name, tag, err)
			}
			cmd, err := r.ReadCommand()
			if err != nil || cmd.Tag != tag {
				t.Fatalf("%s: %+v, %v; want %s", name, cmd, err, tag)
			}
		}
		if err := r.Wait(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end %v", name, err)
		}
	}
}

// What came in clear before STARTTLS is counted and forgotten, whether a buffer has it or not (S-2).
func TestWhatIsForgottenIsCounted_S2(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("a NOOP\r\nb INJECTED "+strings.Repeat("x", 100)+"\r\n"), LimitsAfterLogin(), nil)
	if err := r.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := r.Buffered(); n != firstRead {
		t.Errorf("%d octets before the first command, want %d", n, firstRead)
	}
	if _, err := r.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	had := r.Buffered()
	if dropped := r.Reset(strings.NewReader("c NOOP\r\n")); dropped != had || had == 0 {
		t.Errorf("%d octets were dropped of %d", dropped, had)
	}
	if cmd, err := r.ReadCommand(); err != nil || cmd.Tag != "c" || r.Buffered() != 0 {
		t.Errorf("%+v, %v, %d octets left; want c and nothing", cmd, err, r.Buffered())
	}
}

// A source that gives nothing and no error must not hold a connection for ever.
func TestASourceOfNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	r := NewReader(readerOf(func([]byte) (int, error) { return 0, nil }), LimitsAfterLogin(), nil)
	if err := r.Wait(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type readerOf func([]byte) (int, error)

func (f readerOf) Read(p []byte) (int, error) { return f(p) }

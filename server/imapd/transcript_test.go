package imapd_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the server's lines of testdata/*.txt anew")

// TestTranscripts plays conversations with the server. A line "C: ..." is sent as it stands, "D: ..." as well but is no command of
// its own, a line "S: ..." is what comes back; other lines are comments. "!" lines set the scene: see stage.act.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			play(t, file)
		})
	}
}

func play(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	update := *update && !strings.HasPrefix(string(text), "# by hand")
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	e := newEnv(t)
	s := &stage{t: t, e: e, ann: e.person("ann")}
	s.c = s.ann.e.dial()
	var out []string
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "S: ") && update:
			continue
		case strings.HasPrefix(line, "S: "):
			if got := s.read(); got != strings.TrimPrefix(line, "S: ") {
				t.Fatalf("%s:%d:\n got %q\nwant %q", file, i+1, got, strings.TrimPrefix(line, "S: "))
			}
		case strings.HasPrefix(line, "C: "), strings.HasPrefix(line, "D: "):
			s.c.send(line[3:] + "\r\n")
		case strings.HasPrefix(line, "!"):
			s.act(strings.Fields(line[1:]))
		}
		out = append(out, line)
		if update && (line[:min(3, len(line))] == "C: " || line[:min(3, len(line))] == "D: ") {
			if tag, _, _ := strings.Cut(line[3:], " "); line[0] == 'C' && len(tag) <= 2 && tag != "*" {
				s.tag = tag
			}
			if i+1 == len(lines) || !strings.HasPrefix(lines[i+1], "D: ") || strings.HasSuffix(line, "}") {
				out = append(out, s.answer(line[3:])...)
			}
		}
	}
	if update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// stage is what a transcript acts on.
type stage struct {
	t     *testing.T
	e     *env
	ann   *person
	c     *client
	other *client
	notes int
	tag   string // of the last command
}

func (s *stage) act(words []string) {
	s.t.Helper()
	switch words[0] {
	case "deliver":
		for range len(words[2]) { // one stroke each: "!deliver INBOX ||"
			s.notes++
			s.ann.deliver(words[1], note(s.notes))
		}
	case "file":
		text, err := os.ReadFile(filepath.Join("testdata", words[2]))
		if err != nil {
			s.t.Fatal(err)
		}
		s.ann.deliver(words[1], strings.ReplaceAll(string(text), "\n", "\r\n"))
	case "other":
		if s.other == nil {
			s.other = s.ann.login()
		}
		s.other.ok("%s", strings.Join(words[1:], " "))
	default:
		s.t.Fatalf("unknown action %q", words)
	}
}

func (s *stage) read() string {
	s.t.Helper()
	s.c.nc.SetReadDeadline(time.Now().Add(patience))
	line, err := s.c.br.ReadString('\n')
	if err != nil {
		s.t.Fatalf("after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// answer reads what comes back for a line, up to the tagged answer or a continuation.
func (s *stage) answer(sent string) []string {
	s.t.Helper()
	if strings.HasSuffix(sent, "+}") {
		return nil
	}
	var out []string
	for {
		line := s.read()
		out = append(out, "S: "+line)
		if strings.HasPrefix(line, s.tag+" ") || strings.HasPrefix(line, "+ ") {
			return out
		}
	}
}

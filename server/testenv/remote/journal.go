package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Line is one line of a ledger file: a message that was accepted.
type Line struct {
	At      time.Time `json:"at"`
	ID      string    `json:"id"` // value of Config.IDHeader, "" when the message has none
	From    string    `json:"from"`
	To      []string  `json:"to"`
	Size    int       `json:"size"`   // octets
	Sum     string    `json:"sha256"` // of the octets, hexadecimal
	Session int       `json:"session"`
	Index   int       `json:"index"` // of the message in its session, from 1
	TLS     string    `json:"tls,omitempty"`
	User    string    `json:"user,omitempty"`
}

// ReadLedger reads a ledger file. A last line without its end was never acknowledged to anybody and is left out.
func ReadLedger(path string) ([]Line, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Line
	for {
		line, rest, ended := bytes.Cut(text, []byte{'\n'})
		if !ended {
			return all, nil
		}
		var l Line
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("line %d of the ledger: %w", len(all)+1, err)
		}
		all, text = append(all, l), rest
	}
}

// journal is a ledger file that is being written. Lines that wait at the same time share one sync.
type journal struct {
	file *os.File

	mu      sync.Mutex
	turn    sync.Cond // a sync has ended
	waiting []byte
	added   uint64 // lines handed over
	synced  uint64 // lines on stable storage
	busy    bool
	err     error // of the first failure; the file is not written after it
}

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file}
	j.turn.L = &j.mu
	if err := errors.Join(mend(file), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

// mend takes away the beginning of a line that an earlier program did not finish.
func mend(file *os.File) error {
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	if whole == len(text) {
		return nil
	}
	return file.Truncate(int64(whole))
}

// syncDir makes the name of a new file durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// add returns when the line is on stable storage.
func (j *journal) add(l Line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	j.waiting = append(append(j.waiting, text...), '\n')
	j.added++
	mine := j.added
	for j.synced < mine && j.err == nil {
		if j.busy {
			j.turn.Wait()
			continue
		}
		j.flush()
	}
	return j.err
}

// flush writes and syncs what waits. The lock is held on entry and on return, not while the disk works.
func (j *journal) flush() {
	batch, upTo := j.waiting, j.added
	j.waiting, j.busy = nil, true
	j.mu.Unlock()
	_, err := j.file.Write(batch)
	if err == nil {
		err = j.file.Sync()
	}
	j.mu.Lock()
	j.busy, j.synced, j.err = false, upTo, err
	j.turn.Broadcast()
}

func (j *journal) close() error { return j.file.Close() }

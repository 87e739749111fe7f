package outbound

import "sync"

// turns are the drains of this process. A wake-up for a destination that is being drained here costs nothing: the drain is
// told. Others leave word in the destination's row (sqlTakeLease).
type turns struct {
	mu sync.Mutex
	by map[string]*drain
}

// has reports whether a destination is being drained here. That may be over when it is told.
func (t *turns) has(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.by[name] != nil
}

// wake tells the drain of a destination to look again; false when there is none.
func (t *turns) wake(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.by[name]
	if d == nil {
		return false
	}
	select {
	case d.more <- struct{}{}:
	default: // it has been told already
	}
	return true
}

// enter makes wake find the drain.
func (t *turns) enter(d *drain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]*drain{}
	}
	t.by[d.name] = d
}

// end makes wake find the drain no more, unless it has just been told to look again.
func (t *turns) end(d *drain) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-d.more:
		return false
	default:
	}
	t.remove(d)
	return true
}

// leave makes wake find the drain no more. What it was told is found by the scanner.
func (t *turns) leave(d *drain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(d)
}

func (t *turns) remove(d *drain) {
	if t.by[d.name] == d {
		delete(t.by, d.name)
	}
}

package body

import (
	"container/list"
	"errors"
	"io/fs"
	"os"
	"sync"
)

// maxHandles is how many cur directories are kept open for reading.
const maxHandles = 1000

// handles keeps the cur directories of owners open, those that were read last, so that a body is opened by one step instead of a
// walk along its path. Each is an os.Root: no name and no link leads out of it (S-34). One that is closed while another goroutine
// opens a file in it gives that one fs.ErrClosed. One that was moved away still
// gives what it holds, which is right whatever took its place: a name belongs to one body for ever.
type handles struct {
	mu     sync.Mutex
	max    int
	closed bool
	have   map[string]*list.Element // of *handle, by owner
	order  *list.List               // most recently used first
}

type handle struct {
	owner string
	root  *os.Root
}

func newHandles(limit int) *handles {
	return &handles{max: limit, have: make(map[string]*list.Element), order: list.New()}
}

// get gives the open directory of an owner, or nil.
func (h *handles) get(owner string) *os.Root {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.have[owner]
	if e == nil {
		return nil
	}
	h.order.MoveToFront(e)
	return handleOf(e).root
}

// put keeps an open directory instead of the one that was there, and closes what is too much.
func (h *handles) put(owner string, root *os.Root) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		root.Close()
		return
	}
	if e := h.have[owner]; e != nil {
		h.drop(e)
	}
	h.have[owner] = h.order.PushFront(&handle{owner, root})
	for h.order.Len() > h.max {
		h.drop(h.order.Back())
	}
}

// forget closes the directory of an owner: it is no longer the one of that name.
func (h *handles) forget(owner string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.have[owner]; e != nil {
		h.drop(e)
	}
}

func (h *handles) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for h.order.Len() > 0 {
		h.drop(h.order.Back())
	}
}

func (h *handles) drop(e *list.Element) {
	h.order.Remove(e)
	delete(h.have, handleOf(e).owner)
	handleOf(e).root.Close()
}

func handleOf(e *list.Element) *handle { return e.Value.(*handle) } //nolint:forcetypeassert // the list holds nothing else

// openFile opens a file of the owner's cur directory. When the open directory does not have it, the path is walked: the directory
// may have been removed and made anew since it was opened, or closed to make room.
func (s *Store) openFile(owner, file, name string) (*os.File, error) {
	if err := s.disk.before(OpOpen, name, ""); err != nil {
		return nil, err
	}
	if root := s.handles.get(owner); root != nil {
		f, err := openIn(root, file)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrClosed) {
			return f, err
		}
		s.handles.forget(owner)
	}
	root, err := s.disk.root.OpenRoot(dirOf(owner, "cur"))
	if err != nil {
		return nil, err
	}
	f, err := openIn(root, file)
	s.handles.put(owner, root)
	return f, err
}

package main

import "errors"

// memory weighs a server that has served nobody yet, then one to which everybody came and went, which leaves behind what the checking
// of passwords takes, and then one with idle connections.
func (r *runner) memory(b *bout) error {
	empty := settled(b.ctx, b.server, r.plan.settle)
	left, err := r.signedIn(b)
	if err != nil {
		return err
	}
	s, err := b.begin("memory")
	if err != nil {
		return err
	}
	clients, err := openIdle(b.ctx, b.server, r.plan.weighed)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	full := settled(b.ctx, b.server, r.plan.settle)
	if _, err := s.finish(); err != nil {
		return err
	}
	b.each(len(clients))
	if empty == 0 {
		return nil // it cannot be known on this system
	}
	b.values["memory.idle_mib"] = float64(empty) / (1 << 20)
	b.values["memory.signed_in_mib"] = float64(left) / (1 << 20)
	b.values["memory.busy_mib"] = float64(full) / (1 << 20)
	b.values["memory.connection_kib"] = float64(full-empty) / (1 << 10) / float64(len(clients))
	return nil
}

// signedIn gives the memory some seconds after every account has signed in and left.
func (r *runner) signedIn(b *bout) (int64, error) {
	err := parallel(b.ctx, users, firstLoginsAtOnce, func(i int) error {
		c, err := b.server.imap(b.ctx, account(i))
		if err == nil {
			c.close()
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if !pause(b.ctx, r.plan.settle) {
		return 0, errors.New("the time is over")
	}
	return pss(b.server.tree()), nil
}

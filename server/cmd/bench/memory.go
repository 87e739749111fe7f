package main

// memory weighs a server that has served nobody yet, and then one with idle connections.
func (r *runner) memory(b *bout) error {
	empty := settled(b.ctx, b.server, r.plan.settle)
	clients, err := openIdle(b.ctx, b.server, r.plan.weighed)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	full := settled(b.ctx, b.server, r.plan.settle)
	if empty == 0 {
		return nil // it cannot be known on this system
	}
	b.values["memory.idle_mib"] = float64(empty) / (1 << 20)
	b.values["memory.busy_mib"] = float64(full) / (1 << 20)
	b.values["memory.connection_kib"] = float64(full-empty) / (1 << 10) / float64(len(clients))
	return nil
}

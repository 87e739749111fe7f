package app

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"

	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/stats"
)

// reading measures this node for the statistics.
func (a *App) reading() stats.Reading {
	s := a.metrics.Sample()
	return stats.Reading{
		Memory: memory(), SMTP: s.Connections[obs.ConnSMTP], Submission: s.Connections[obs.ConnSubmission], IMAP: s.Connections[obs.ConnIMAP],
		HTTP: s.Connections[obs.ConnHTTP], Rejected: s.Rejected,
	}
}

// memory gives the octets that the process holds: its resident set as Linux tells it, elsewhere what the runtime has mapped.
func memory() int64 {
	if raw, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(raw); len(fields) > 1 {
			if pages, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	list := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(list)
	return int64(list[0].Value.Uint64() - list[1].Value.Uint64())
}

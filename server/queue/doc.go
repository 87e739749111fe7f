// Package queue wakes workers. The queues of mail are our own tables; a job is only a wake-up that carries ids, never content,
// addresses or secrets. River runs the jobs and is known to this package, server/schema and server/jobs alone.
//
// A service inserts jobs in its own transaction with Insert; package jobs registers the workers; app starts one Client per
// process with the role worker. A job runs at least once and may run twice: workers decide from rows, not from the job.
package queue

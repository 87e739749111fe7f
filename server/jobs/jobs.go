// Package jobs holds the workers that River runs: a few lines each, which call the package that knows the work. A job carries ids
// only and may run twice.
package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// Task is work that recurs: it must be safe to run at any time and on several nodes at once.
type Task struct {
	Name  string        // in the queue's tables and in logs
	Every time.Duration // between two runs
	Run   func(context.Context) error
}

// Register adds the worker of accepted mail and one for all recurring tasks.
func Register(workers *queue.Workers, flow *outbound.Service, tasks []Task) error {
	byName := make(map[string]Task, len(tasks))
	for _, t := range tasks {
		byName[t.Name] = t
	}
	return errors.Join(
		river.AddWorkerSafely(workers, &attempt{flow: flow}),
		river.AddWorkerSafely(workers, &drain{flow: flow}),
		river.AddWorkerSafely(workers, &report{flow: flow}),
		river.AddWorkerSafely(workers, &recurring{tasks: byName}),
	)
}

// attempt works on an accepted email.
type attempt struct {
	queue.Worker[outbound.AttemptArgs]
	flow *outbound.Service
}

// Work implements River's worker.
func (w *attempt) Work(ctx context.Context, job *queue.Job[outbound.AttemptArgs]) error {
	return w.flow.Attempt(ctx, job.Args.Email)
}

// drain sends what is due for a destination.
type drain struct {
	queue.Worker[outbound.DrainArgs]
	flow *outbound.Service
}

// Work implements River's worker.
func (w *drain) Work(ctx context.Context, job *queue.Job[outbound.DrainArgs]) error {
	return w.flow.Drain(ctx, job.Args.Destination)
}

// report tells a sender what could not be delivered.
type report struct {
	queue.Worker[outbound.ReportArgs]
	flow *outbound.Service
}

// Work implements River's worker.
func (w *report) Work(ctx context.Context, job *queue.Job[outbound.ReportArgs]) error {
	wait, err := w.flow.Report(ctx, job.Args.Email)
	if err == nil && wait > 0 {
		return queue.Snooze(wait)
	}
	return err
}

// TaskArgs names the recurring task to run.
type TaskArgs struct {
	Task string `json:"task"`
}

// Kind is the job's name in the queue's tables.
func (TaskArgs) Kind() string { return "recurring_task" }

// InsertOpts names the queue. However many nodes lead one after the other, a task is inserted at most once a minute.
func (TaskArgs) InsertOpts() queue.InsertOpts {
	return queue.InsertOpts{Queue: queue.Maintenance, MaxAttempts: 3, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: time.Minute}}
}

// recurring runs tasks. One that a newer version inserted and this one does not have is left alone.
type recurring struct {
	queue.Worker[TaskArgs]
	tasks map[string]Task
}

// Work implements River's worker.
func (w *recurring) Work(ctx context.Context, job *queue.Job[TaskArgs]) error {
	t, ok := w.tasks[job.Args.Task]
	if !ok {
		return nil
	}
	return t.Run(ctx)
}

// Periodic makes the leading node insert each task at its interval, and once at its start.
func Periodic(tasks []Task) []*queue.PeriodicJob {
	out := make([]*queue.PeriodicJob, 0, len(tasks))
	for _, t := range tasks {
		args := TaskArgs{Task: t.Name}
		insert := func() (river.JobArgs, *river.InsertOpts) { return args, nil }
		out = append(out, river.NewPeriodicJob(river.PeriodicInterval(t.Every), insert, &river.PeriodicJobOpts{ID: t.Name, RunOnStart: true}))
	}
	return out
}

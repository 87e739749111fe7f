package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

type queueCmd struct {
	List         queueListCmd         `cmd:"" help:"List the recipients that wait."`
	Destinations queueDestinationsCmd `cmd:"" help:"List where waiting mail goes, with state and next attempt."`
	Retry        queueRetryCmd        `cmd:"" help:"Try deliveries, a destination, a domain's mail or everything now."`
	Hold         queueHoldCmd         `cmd:"" help:"Hold deliveries, or a destination with what comes later."`
	Release      queueReleaseCmd      `cmd:"" help:"Release what was held and try it now."`
	Drop         queueDropCmd         `cmd:"" help:"Take deliveries out of the queue for good. Nobody is told."`
}

type queueListCmd struct {
	remote
	Destination string `help:"Only mail for this destination." placeholder:"NAME"`
	Domain      string `help:"Only mail of this sender's domain, a name or an id." placeholder:"DOMAIN"`
	Email       string `help:"Only this email." placeholder:"ID"`
	Status      string `help:"Only recipients in this state: queued, sending, deferred or held." enum:",queued,sending,deferred,held" default:"" placeholder:"STATUS"`
}

// Run prints what waits, oldest first.
func (c queueListCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	domainID, err := domainID(ctx, client, c.Domain)
	if err != nil {
		return err
	}
	found, err := gather(client.Queue.All(ctx, mailserver.ListQueue{
		Destination: c.Destination, DomainID: domainID, EmailID: c.Email, Status: mailserver.QueueEntryStatus(c.Status), Limit: pageSize,
	}))
	if err != nil || c.JSON {
		return either(err, env, found)
	}
	rows := make([][]string, len(found.Items))
	for i, e := range found.Items {
		from := first(e.From, "<>")
		rows[i] = []string{string(e.Status), e.Recipient, from, strconv.FormatInt(e.Attempts, 10), when(e.NextAttemptAt), e.ID, short60(e.LastReply)}
	}
	return env.printTable([]string{"STATUS", "RECIPIENT", "FROM", "ATTEMPTS", "NEXT", "ID", "LAST REPLY"}, rows)
}

// short60 keeps a line of the table a line.
func short60(text string) string {
	const most = 60
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// domainID gives the id of a domain that a flag names; "" for none.
func domainID(ctx context.Context, client *mailserver.Client, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	d, err := domainByText(ctx, client, text)
	if err != nil {
		return "", err
	}
	return d.ID, nil
}

type queueDestinationsCmd struct {
	remote
	Domain string `help:"Count only mail of this sender's domain, a name or an id." placeholder:"DOMAIN"`
}

// Run prints the destinations, by name.
func (c queueDestinationsCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	domainID, err := domainID(ctx, client, c.Domain)
	if err != nil {
		return err
	}
	found, err := gather(client.Queue.AllDestinations(ctx, mailserver.ListDestinations{DomainID: domainID, Limit: pageSize}))
	if err != nil || c.JSON {
		return either(err, env, found)
	}
	rows := make([][]string, len(found.Items))
	for i, d := range found.Items {
		next := whenever(d.NextAttemptAt)
		if paused := whenever(d.PausedUntil); paused != "" {
			next = paused
		}
		rows[i] = []string{
			d.Name, string(d.State), strconv.FormatInt(d.Queued, 10), strconv.FormatInt(d.Deferred, 10), strconv.FormatInt(d.Sending, 10),
			strconv.FormatInt(d.Held, 10), whenever(d.OldestAt), next, short60(d.LastReply),
		}
	}
	return env.printTable([]string{"DESTINATION", "STATE", "QUEUED", "DEFERRED", "SENDING", "HELD", "OLDEST", "NEXT", "LAST REPLY"}, rows)
}

// changeDestination carries out an action on one destination and prints what it is now.
func (r remote) changeDestination(ctx context.Context, env environment, name string,
	do func(mailserver.Queue, context.Context, string, ...mailserver.CallOption) (*mailserver.QueueDestination, error),
) error {
	client, err := r.client(env)
	if err != nil {
		return err
	}
	d, err := do(client.Queue, ctx, name)
	if err != nil || r.JSON {
		return either(err, env, d)
	}
	waiting := d.Queued + d.Deferred + d.Sending + d.Held
	return env.printFields([][2]string{
		{"destination", d.Name}, {"state", string(d.State)}, {"waiting", strconv.FormatInt(waiting, 10)}, {"next", whenever(d.NextAttemptAt)},
	})
}

// action is a method of the queue that changes one delivery.
type action func(q mailserver.Queue, ctx context.Context, id string, options ...mailserver.CallOption) (*mailserver.QueueEntryChanged, error)

// change does the same with each delivery and prints what became of it. The first error ends it.
func (r remote) change(ctx context.Context, env environment, ids []string, act action) error {
	client, err := r.client(env)
	if err != nil {
		return err
	}
	out := list[mailserver.QueueEntryChanged]{Items: []mailserver.QueueEntryChanged{}}
	rows := make([][]string, 0, len(ids))
	for _, id := range ids {
		e, err := act(client.Queue, ctx, id)
		if err != nil {
			return err
		}
		out.Items = append(out.Items, *e)
		rows = append(rows, []string{e.ID, string(e.Status), e.EmailID})
	}
	if r.JSON {
		return env.printJSON(out)
	}
	return env.printTable([]string{"ID", "STATUS", "EMAIL"}, rows)
}

type queueRetryCmd struct {
	remote
	Deliveries  []string `arg:"" optional:"" name:"delivery" help:"Ids of deliveries, as \"queue list\" shows them."`
	Destination string   `help:"Everything for this destination, whose breaker is closed." placeholder:"NAME"`
	Domain      string   `help:"Everything of this sender's domain, a name or an id." placeholder:"DOMAIN"`
	Email       string   `help:"Every recipient of this email." placeholder:"ID"`
	All         bool     `help:"Everything that waits."`
}

// Validate implements kong's check of a command.
func (c queueRetryCmd) Validate() error {
	part := c.Destination != "" || c.Domain != "" || c.Email != ""
	switch {
	case len(c.Deliveries) > 0 && (part || c.All), part && c.All:
		return errors.New("give deliveries, or --all, or some of --destination, --domain and --email")
	case len(c.Deliveries) == 0 && !part && !c.All:
		return errors.New("say what to try: deliveries, --destination, --domain, --email or --all")
	}
	return nil
}

// Run makes the next attempts due now.
func (c queueRetryCmd) Run(ctx context.Context, env environment) error {
	if len(c.Deliveries) > 0 {
		return c.change(ctx, env, c.Deliveries, mailserver.Queue.Retry)
	}
	if c.Destination != "" && c.Domain == "" && c.Email == "" {
		return c.changeDestination(ctx, env, c.Destination, mailserver.Queue.RetryDestination)
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	domainID, err := domainID(ctx, client, c.Domain)
	if err != nil {
		return err
	}
	done, err := client.Queue.RetryAll(ctx, mailserver.QueueRetry{Destination: c.Destination, DomainID: domainID, EmailID: c.Email})
	if err != nil || c.JSON {
		return either(err, env, done)
	}
	return env.printFields([][2]string{{"due now", strconv.FormatInt(done.Recipients, 10)}})
}

// heldArgs name deliveries or one destination.
type heldArgs struct {
	Deliveries  []string `arg:"" optional:"" name:"delivery" help:"Ids of deliveries, as \"queue list\" shows them."`
	Destination string   `help:"Everything for this destination." placeholder:"NAME"`
}

// Validate implements kong's check of a command.
func (a heldArgs) Validate() error {
	if (len(a.Deliveries) > 0) == (a.Destination != "") {
		return errors.New("give deliveries or --destination")
	}
	return nil
}

type queueHoldCmd struct {
	remote
	heldArgs
}

// Run holds deliveries or a destination.
func (c queueHoldCmd) Run(ctx context.Context, env environment) error {
	if c.Destination == "" {
		return c.change(ctx, env, c.Deliveries, mailserver.Queue.Hold)
	}
	return c.changeDestination(ctx, env, c.Destination, mailserver.Queue.HoldDestination)
}

type queueReleaseCmd struct {
	remote
	heldArgs
}

// Run releases deliveries or a destination.
func (c queueReleaseCmd) Run(ctx context.Context, env environment) error {
	if c.Destination == "" {
		return c.change(ctx, env, c.Deliveries, mailserver.Queue.Release)
	}
	return c.changeDestination(ctx, env, c.Destination, mailserver.Queue.ReleaseDestination)
}

type queueDropCmd struct {
	remote
	Deliveries []string `arg:"" name:"delivery" help:"Ids of deliveries, as \"queue list\" shows them."`
}

// Run drops deliveries.
func (c queueDropCmd) Run(ctx context.Context, env environment) error {
	c.destroys = true
	return c.change(ctx, env, c.Deliveries, mailserver.Queue.Drop)
}

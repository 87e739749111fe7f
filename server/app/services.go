package app

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/certs"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/inbound"
	"github.com/mailserver-dev/mailserver/server/jobs"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/queue"
	"github.com/mailserver-dev/mailserver/server/stats"
)

// buildServices makes every service; none of them does anything yet.
func (a *App) buildServices(ctx context.Context) error {
	clk, log, cfg := a.opts.Clock, a.log, a.cfg
	a.metrics, a.bus = obs.NewMetrics(), bus.New()
	bodies, err := body.Open(body.Options{Dir: cfg.DataDir, LowWater: cfg.Limits.LowWater}, clk, log)
	if err != nil {
		return err
	}
	a.bodies = bodies
	a.onStop("bodies", func(context.Context) error { return bodies.Close() })

	a.limiter = limit.New(a.pool, clk, cfg.Limits.Profile)
	a.idem = idem.New(a.pool, clk)
	a.Events = event.New(a.pool, clk, a.bus, log)
	if err := a.openBox(ctx); err != nil {
		return err
	}
	a.openResolver(ctx)
	a.Domains = domain.New(a.pool, clk, a.bus, log, domain.Config{
		AutoVerify: cfg.Domains.Verification == "auto", Hostname: cfg.Hostname, Ports: a.ports(), Store: domain.KeySource(cfg.DKIM.Store),
		Box: a.box, KeyDir: filepath.Join(cfg.DataDir, "dkim"), Resolver: a.resolver,
	})
	a.Accounts = account.New(account.Deps{
		Pool: a.pool, Clock: clk, Log: log, Bus: a.bus, Limiter: a.limiter, Domains: a.Domains, Box: a.box, Metrics: a.authMeter(),
	}, account.Config{
		Argon2: account.Argon2{
			Time: uint32(cfg.Auth.Argon2.Time), MemoryKiB: uint32(cfg.Auth.Argon2.MemoryKiB), Threads: uint8(cfg.Auth.Argon2.Threads),
		},
		PasswordMinLength: cfg.Auth.PasswordMinLength, DefaultQuota: int64(cfg.Limits.QuotaBytes), Issuer: cfg.Hostname,
	})
	a.Mailboxes = mailbox.New(a.pool, bodies, a.bus, clk, log, mailbox.Options{MaxMailboxes: cfg.Limits.Mailbox.Count})
	a.Mailboxes.Attach(a.Accounts)
	a.Inbound = inbound.New(inbound.Config{Hostname: cfg.Hostname, MaxHops: cfg.Limits.ReceivedHops}, inbound.Deps{
		Clock: clk, Log: log, Bodies: bodies, Domains: a.Domains, Accounts: a.Accounts, Mailboxes: a.Mailboxes, Metrics: a.metrics,
	})
	client, err := a.smtpClient()
	if err != nil {
		return err
	}
	a.Outbound = outbound.New(a.outboundConfig(), outbound.Deps{
		Pool: a.pool, Clock: clk, Log: log, Bodies: bodies, Domains: a.Domains, Accounts: a.Accounts, Local: a.Inbound, Client: client,
		Metrics: a.metrics, Bus: a.bus,
	})
	a.Stats = stats.New(stats.Config{Node: hostname(), Version: a.opts.Version, StartedAt: clk.Now().Truncate(time.Second), Read: a.reading}, stats.Deps{
		Pool: a.pool, Clock: clk, Log: log, Bus: a.bus, Domains: a.Domains, Accounts: a.Accounts, Mailboxes: a.Mailboxes, Outbound: a.Outbound,
	})
	return a.buildHealth(ctx)
}

// meter gives sign-ins their metric.
type meter struct{ metrics *obs.Metrics }

func (a *App) authMeter() account.Metrics { return meter{a.metrics} }

// AuthAttempt implements account.Metrics.
func (m meter) AuthAttempt(result, protocol string) {
	outcome := obs.AuthFail
	switch result {
	case "ok":
		outcome = obs.AuthOK
	case "limited", "busy":
		outcome = obs.AuthThrottled
	}
	m.metrics.AuthAttempt(outcome, obs.AuthProtocol(protocol))
}

func (a *App) buildHealth(context.Context) error {
	a.health = obs.NewHealth(a.opts.Clock)
	a.health.Register("database", a.pool.Ping)
	a.health.Register("storage", a.bodies.Ready)
	a.health.Register("queue", func(context.Context) error {
		if a.queue != nil && !a.queue.Running() {
			return errQueueStopped
		}
		return nil
	})
	a.metrics.SetQueueDepth(a.queueDepth)
	return nil
}

// queueDepth answers a scrape; a database that is down gives the last figure's place to 0 within a second.
func (a *App) queueDepth() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := a.Outbound.Depth(ctx)
	if err != nil {
		return 0
	}
	return float64(n)
}

func (a *App) openCertificates(context.Context) error {
	var err error
	if a.cfg.TLS.Mode == "files" {
		a.certs, err = certs.Files(a.cfg.TLS.CertFile, a.cfg.TLS.KeyFile, a.opts.Clock)
		return err
	}
	var ips []net.IP
	if ip := net.ParseIP(a.cfg.BindAddress); ip != nil && !ip.IsUnspecified() {
		ips = append(ips, ip)
	}
	a.certs, err = certs.SelfSigned(filepath.Join(a.cfg.DataDir, "tls"), []string{a.cfg.Hostname}, ips, a.opts.Clock)
	return err
}

// startWork starts what runs without being asked: the committer of deliveries, the workers, the scan for due mail.
func (a *App) startWork(ctx context.Context) error {
	if err := a.Events.EnsurePartitions(ctx); err != nil {
		return err
	}
	a.Mailboxes.Start(ctx)
	a.onStop("deliveries", a.Mailboxes.Stop)
	a.goRun(ctx, "statistics", a.Stats.Run)
	if !a.cfg.HasRole("worker") {
		return nil
	}
	tasks := a.tasks()
	client, err := queue.New(a.pool, queue.Config{
		Register: func(w *queue.Workers) error { return jobs.Register(w, a.Outbound, tasks) },
		Periodic: jobs.Periodic(tasks), Listen: a.direct, SoftStop: a.cfg.Limits.StopTimeout / 2, Logger: obs.AtLeast(a.log, slog.LevelWarn),
	})
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	a.queue = client
	a.onStop("workers", client.Stop)
	a.onStop("sending", func(context.Context) error { a.Outbound.StopSending(); return nil })
	a.goRun(ctx, "scan", a.Outbound.Scan)
	a.goRun(ctx, "connections", a.Outbound.KeepConnections)
	return nil
}

// destinationsFor is how long the health of a destination is remembered after its last mail.
const destinationsFor = 7 * 24 * time.Hour

// tasks lists what recurs.
func (a *App) tasks() []jobs.Task {
	return []jobs.Task{
		{Name: "event_partitions", Every: time.Hour, Run: a.Events.EnsurePartitions},
		{Name: "idempotency_sweep", Every: time.Hour, Run: dropCount(a.idem.Sweep)},
		{Name: "session_sweep", Every: time.Hour, Run: dropCount(a.Accounts.SweepSessions)},
		{Name: "auth_failure_sweep", Every: 5 * time.Minute, Run: dropCount(a.limiter.Sweep)},
		{Name: "event_retention", Every: 6 * time.Hour, Run: a.dropEvents},
		{Name: "email_retention", Every: time.Hour, Run: a.expireEmails},
		{Name: "report_sweep", Every: time.Minute, Run: dropCount(a.Outbound.ReportOwed)},
		{Name: "expiry_sweep", Every: time.Minute, Run: dropCount(a.Outbound.GiveUp)},
		{Name: "destination_retention", Every: 6 * time.Hour, Run: a.forgetDestinations},
		{Name: "blob_sweep", Every: time.Hour, Run: dropCount(a.Outbound.SweepBlobs)},
		{Name: "stats_retention", Every: time.Hour, Run: dropCount(a.Stats.Expire)},
		{Name: "mailbox_maintenance", Every: 5 * time.Minute, Run: a.maintainMailboxes},
	}
}

func (a *App) dropEvents(ctx context.Context) error {
	_, err := a.Events.DropBefore(ctx, a.opts.Clock.Now().Add(-a.cfg.Retention.Events))
	return err
}

func (a *App) expireEmails(ctx context.Context) error {
	_, err := a.Outbound.Expire(ctx, a.opts.Clock.Now().Add(-a.cfg.Retention.Emails))
	return err
}

func (a *App) forgetDestinations(ctx context.Context) error {
	_, err := a.Outbound.ForgetDestinations(ctx, a.opts.Clock.Now().Add(-destinationsFor))
	return err
}

func (a *App) maintainMailboxes(ctx context.Context) error {
	_, err := a.Mailboxes.Maintain(ctx)
	return err
}

func dropCount(sweep func(context.Context) (int64, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := sweep(ctx)
		return err
	}
}

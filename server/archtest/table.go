package archtest

// Module is the module path of this repository.
const Module = "github.com/mailserver-dev/mailserver"

// Rules say which package may import which. Packages are named by their directory below the module root; a directory that is
// not named belongs to its nearest named parent and shares the parent's tier and arrows.
type Rules struct {
	// Tiers lists the named packages from the lowest tier (0) to the highest.
	Tiers [][]string
	// Arrows are the allowed imports inside a tier: importer to imported. They are transitive.
	Arrows map[string][]string
	// Never are imports that stay forbidden although the tiers would allow them: importer to imported.
	Never map[string][]string
	// Only names packages that may be imported by the listed ones alone.
	Only map[string][]string
	// Fences keep third-party libraries in their place.
	Fences []Fence
	// StandardOnly names the tiers that may import nothing but the standard library.
	StandardOnly []int
}

// Fence lets the import paths below Library be imported by the packages Inside and no other.
type Fence struct {
	Library string
	Inside  []string
	// Instead says what the others do.
	Instead string
}

// Table returns the rules of this repository.
func Table() Rules {
	return Rules{
		Tiers: [][]string{
			{"server/mail", "server/fault", "migrations", "console", "openapi"},
			tierPlatform(),
			tierDomain(),
			{
				"server/outbound", "server/notice", "server/provision", "server/inbound", "server/triage",
				"server/backup", "server/importer", "server/stats", "server/doctor",
			},
			tierEdges(),
			{"server/app"},
			{"server/cmd", "server/cmd/chaos", "server/cmd/bench", "server/testenv", "server/archtest"},
		},
		Arrows:       arrows(),
		Never:        never(),
		Only:         only(),
		Fences:       fences(),
		StandardOnly: []int{0},
	}
}

func tierPlatform() []string {
	return []string{
		"server/clock", "server/config", "server/obs", "server/seal",
		"server/mime", "server/sieve", "server/dns", "server/pg", "server/queue", "server/schema", "server/pgtest",
		"server/bus", "server/limit", "server/idem", "server/body", "server/certs",
	}
}

func tierDomain() []string {
	return []string{
		"server/event", "server/audit", "server/operation", "server/settings", "server/domain", "server/account",
		"server/contact", "server/suppression", "server/template", "server/calendar", "server/webhook",
		"server/alias", "server/filter", "server/hold", "server/mailbox",
	}
}

func tierEdges() []string {
	return []string{
		"server/smtpd", "server/imapd", "server/davd", "server/sieved", "server/webd", "server/jobs", "api",
	}
}

// arrows returns what a package may import from its own tier.
func arrows() map[string][]string {
	all := map[string][]string{
		"server/obs":    {"server/config", "server/clock"},
		"server/sieve":  {"server/mime"},
		"server/queue":  {"server/pg"},
		"server/schema": {"server/pg", "server/queue"},
		"server/pgtest": {"server/schema"},
		"server/bus":    {"server/pg"},
		"server/limit":  {"server/pg"},
		"server/idem":   {"server/pg"},
		"server/body":   {"server/pg"},
		"server/certs":  {"server/pg", "server/dns"},
		// The fault runner drives a whole server; the server's own program never does.
		"server/cmd/chaos": {"server/testenv"},
	}
	// Clock, configuration, observation and secrets are open to their whole tier, but for each other.
	open := []string{"server/clock", "server/config", "server/obs", "server/seal"}
	for _, name := range tierPlatform()[len(open):] {
		all[name] = append(all[name], open...)
	}
	chain(
		all,
		[]string{"server/event"},
		[]string{"server/audit"},
		[]string{"server/operation", "server/settings"},
		[]string{"server/domain"},
		[]string{"server/account"},
		[]string{"server/contact", "server/suppression", "server/template", "server/calendar", "server/webhook"},
		[]string{"server/alias", "server/filter", "server/hold"},
		[]string{"server/mailbox"},
	)
	chain(
		all,
		[]string{"server/outbound"},
		[]string{"server/notice"},
		[]string{"server/provision"},
		[]string{"server/inbound"},
		[]string{"server/triage"},
		[]string{"server/backup", "server/importer", "server/stats"},
		[]string{"server/doctor"},
	)
	return all
}

// chain lets every package of a step import all packages of the steps before it.
func chain(all map[string][]string, steps ...[]string) {
	var before []string
	for _, step := range steps {
		for _, name := range step {
			all[name] = append(all[name], before...)
		}
		before = append(before, step...)
	}
}

// never keeps the edges off the floor: what they need from database, queue or body store they ask of a service.
func never() map[string][]string {
	floor := []string{"server/pg", "server/body", "server/queue", "server/schema"}
	all := map[string][]string{"server/jobs": {"server/pg", "server/body", "server/schema"}}
	for _, edge := range tierEdges() {
		if edge != "server/jobs" {
			all[edge] = floor
		}
	}
	return all
}

// only keeps what exists for tests out of the program.
func only() map[string][]string {
	return map[string][]string{
		"server/pgtest":  {"server/testenv", "server/cmd/chaos"},
		"server/testenv": {"server/cmd/chaos"},
	}
}

// fences lists the libraries that have one home. testenv and the fault runner speak to the server as foreign clients.
func fences() []Fence {
	floors := append(append(tierPlatform(), tierDomain()...),
		"server/outbound", "server/notice", "server/provision", "server/inbound", "server/triage",
		"server/backup", "server/importer", "server/stats", "server/doctor")
	return []Fence{
		{"github.com/danielgtaylor/huma", []string{"api"}, "describe the operation in api"},
		{"github.com/jackc/pgx", floors, "ask a service of tier 2 or 3"},
		{
			"github.com/riverqueue/river",
			[]string{"server/queue", "server/schema", "server/jobs"},
			"insert through server/queue; a worker lives in server/jobs",
		},
		{
			"github.com/emersion/go-smtp",
			[]string{"server/smtpd", "server/outbound/smtpout", "server/testenv", "server/cmd/chaos"},
			"receive in server/smtpd, send through server/outbound/smtpout",
		},
		{
			"github.com/emersion/go-imap",
			[]string{"server/imapd", "server/importer", "server/testenv", "server/cmd/chaos"},
			"use the words of server/mail; IMAP is server/imapd's",
		},
		{"github.com/golang-jwt/jwt", []string{"server/account"}, "ask server/account for a token or its owner"},
		{"github.com/pquerna/otp", []string{"server/account"}, "ask server/account to check a code"},
		{
			Module + "/sdk/go",
			[]string{"server/cmd", "server/cmd/chaos", "server/cmd/bench", "server/testenv"},
			"only the command line and the tests are clients of the API",
		},
	}
}

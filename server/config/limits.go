package config

import "time"

// Limits holds every configurable bound. The L- and S- numbers name the rule
// that gave the default. A zero count means no limit; sizes and times are
// never zero unless the field says so.
type Limits struct {
	// Profile none turns off rates, connection, session and error counts, bans
	// and lockouts that are not set explicitly. Sizes and timeouts stay.
	Profile string `key:"profile" default:"default" dev:"none" oneof:"default|none"`

	// MessageBytes bounds a message by SMTP, APPEND and the API (L-1).
	MessageBytes Size `key:"message_bytes" default:"35MiB" min:"64KiB" max:"1GiB"`
	// Recipients of one message, by the way it comes (L-2). RFC 5321
	// §4.5.3.1.8 asks for at least 100 on arrival.
	RecipientsInbound    int `key:"recipients_inbound" default:"100" min:"100" max:"10000"`
	RecipientsSubmission int `key:"recipients_submission" default:"500" min:"1" max:"10000"`
	RecipientsAPI        int `key:"recipients_api" default:"1000" min:"1" max:"10000"`
	// BlobBytes bounds a file uploaded with POST /v1/blobs, BlobTotalBytes all that one key or user has there at a time.
	BlobBytes      Size `key:"blob_bytes" default:"25MiB" min:"64KiB" max:"1GiB"`
	BlobTotalBytes Size `key:"blob_total_bytes" default:"512MiB" min:"1MiB" max:"1TiB"`
	// QuotaBytes is the quota of a user who has none of his own (L-10). 0 = none.
	QuotaBytes Size `key:"quota_bytes" default:"5GiB" zero:"off"`
	// DiskLowWaterBytes is the free space below which mail is refused with a
	// temporary error. 0 = the rule of L-12, see LowWater.
	DiskLowWaterBytes Size `key:"disk_low_water_bytes" zero:"off"`
	// ReceivedHops is the number of Received fields that proves a loop (L-25).
	ReceivedHops int `key:"received_hops" default:"50" min:"10" max:"1000"`

	// TLSHandshakeTimeout bounds a handshake on any listener (L-43).
	TLSHandshakeTimeout time.Duration `key:"tls_handshake_timeout" default:"10s" min:"1s" max:"5m"`
	// StopTimeout bounds a graceful stop (L-46).
	StopTimeout time.Duration `key:"stop_timeout" default:"30s" dev:"8s" min:"1s" max:"10m"`

	Mailbox  MailboxLimits  `key:"mailbox"`
	SMTP     SMTPLimits     `key:"smtp"`
	IMAP     IMAPLimits     `key:"imap"`
	HTTP     HTTPLimits     `key:"http"`
	API      APILimits      `key:"api"`
	Database DatabaseLimits `key:"database"`
}

// MailboxLimits bound one user's mailboxes (L-11).
type MailboxLimits struct {
	Count int `key:"count" default:"1000" min:"10" max:"100000"`
}

// SMTPLimits bound sessions on the SMTP and submission listeners.
type SMTPLimits struct {
	// Connections in all, of one address, of one /24 or /64 (L-30).
	Connections           int `key:"connections" default:"1000" lift:"true"`
	ConnectionsPerIP      int `key:"connections_per_ip" default:"20" lift:"true"`
	ConnectionsPerNetwork int `key:"connections_per_network" default:"60" lift:"true"`
	// Errors after which a session is slowed, then closed; junk commands (L-34).
	ErrorsSoft   int `key:"errors_soft" default:"10" lift:"true"`
	ErrorsHard   int `key:"errors_hard" default:"20" lift:"true"`
	JunkCommands int `key:"junk_commands" default:"100" lift:"true"`
	// Messages and life of a session (L-36).
	SessionMessages int           `key:"session_messages" default:"100" lift:"true"`
	SessionLife     time.Duration `key:"session_life" default:"30m" min:"1m" max:"24h"`
	// Waiting for a command, for a block of DATA, for all of DATA, and the
	// lowest rate of DATA in bytes a second (L-40).
	CommandTimeout time.Duration `key:"command_timeout" default:"5m" min:"1s" max:"1h"`
	DataTimeout    time.Duration `key:"data_timeout" default:"3m" min:"1s" max:"1h"`
	DataTotal      time.Duration `key:"data_total" default:"30m" min:"1s" max:"24h"`
	DataMinRate    int           `key:"data_min_rate" default:"500" lift:"true"`
	// StressTimeout replaces CommandTimeout above 80 % of Connections (L-41).
	StressTimeout time.Duration `key:"stress_timeout" default:"10s" min:"1s" max:"5m"`
}

// IMAPLimits bound IMAP sessions.
type IMAPLimits struct {
	// Connections in all, of one user, and not yet signed in of one address (L-31).
	Connections        int `key:"connections" default:"5000" lift:"true"`
	ConnectionsPerUser int `key:"connections_per_user" default:"20" lift:"true"`
	PreAuthPerIP       int `key:"preauth_per_ip" default:"10" lift:"true"`
	// CommandsPerMinute of one user (L-32).
	CommandsPerMinute int `key:"commands_per_minute" default:"2000" lift:"true"`
	// AuthFailures after which a session ends with BYE (L-35).
	AuthFailures int `key:"auth_failures" default:"3" lift:"true"`
	// Silence before and after sign-in (L-42). RFC 9051 §5.4 asks for at least
	// 30 minutes after it.
	PreAuthTimeout time.Duration `key:"preauth_timeout" default:"60s" min:"1s" max:"30m"`
	IdleTimeout    time.Duration `key:"idle_timeout" default:"35m" min:"30m" max:"24h"`
}

// HTTPLimits bound connections to the HTTP listeners (S-13, S-14).
type HTTPLimits struct {
	Connections int `key:"connections" default:"2000" lift:"true"`
	// ConnectionsPerIP does not apply to loopback, where a reverse proxy lives.
	ConnectionsPerIP int `key:"connections_per_ip" default:"200" lift:"true"`
	// HeaderTimeout bounds the TLS handshake and the header of a request.
	HeaderTimeout time.Duration `key:"header_timeout" default:"10s" min:"1s" max:"5m"`
	HeaderBytes   Size          `key:"header_bytes" default:"32KiB" min:"8KiB" max:"1MiB"`
	// BodyMinRate is the lowest rate of a request body in bytes a second.
	BodyMinRate int `key:"body_min_rate" default:"500" lift:"true"`
}

// APILimits bound use of the API.
type APILimits struct {
	// RequestsPerMinute of one key, LoginsPerMinute of one address (L-38).
	RequestsPerMinute int `key:"requests_per_minute" default:"600" lift:"true"`
	LoginsPerMinute   int `key:"logins_per_minute" default:"10" lift:"true"`
	// BodyBytes of one JSON request, of a batch of emails, and of all that are being read. One credential has a quarter of
	// the last, or one batch; an eighth is kept for bodies of no more than 1 MiB.
	BodyBytes       Size `key:"body_bytes" default:"10MiB" min:"64KiB" max:"1GiB"`
	BatchBytes      Size `key:"batch_bytes" default:"50MiB" min:"64KiB" max:"1GiB"`
	BodyBudgetBytes Size `key:"body_budget_bytes" default:"128MiB" min:"1MiB" max:"64GiB"`
	// Streams of events that are open on a node, and of one key or session; a user has four times as many.
	Streams              int `key:"streams" default:"500" min:"1" max:"100000"`
	StreamsPerCredential int `key:"streams_per_credential" default:"5" min:"1" max:"1000"`
}

// DatabaseLimits bound statements in a protocol's path (L-45).
type DatabaseLimits struct {
	StatementTimeout time.Duration `key:"statement_timeout" default:"10s" min:"100ms" max:"10m"`
	LockTimeout      time.Duration `key:"lock_timeout" default:"5s" min:"100ms" max:"10m"`
	IdleTimeout      time.Duration `key:"idle_timeout" default:"15s" min:"1s" max:"10m"`
}

// LowWater is the free space in bytes, on a file system of total bytes, below
// which mail is refused: disk_low_water_bytes, else the greatest of 1 GiB,
// a hundred messages of the largest size, and 5 % (L-12).
func (l Limits) LowWater(total int64) int64 {
	if l.DiskLowWaterBytes > 0 {
		return int64(l.DiskLowWaterBytes)
	}
	return max(1<<30, 100*int64(l.MessageBytes), total/20)
}

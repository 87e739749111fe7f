package obs

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Reason is why mail was refused, the label of messages_rejected_total.
type Reason string

// The reasons, with the rule that gives the reply.
const (
	ReasonUnknownUser       Reason = "unknown_user"        // I-10, I-14
	ReasonRelayDenied       Reason = "relay_denied"        // I-11
	ReasonRecipientDisabled Reason = "recipient_disabled"  // I-12, I-13
	ReasonOverQuota         Reason = "over_quota"          // I-16
	ReasonTooLarge          Reason = "too_large"           // I-17, I-18
	ReasonTooManyRecipients Reason = "too_many_recipients" // I-19, I-35
	ReasonRateLimited       Reason = "rate_limited"        // I-21 to I-23
	ReasonMalformed         Reason = "malformed"           // I-33, I-46
	ReasonLoop              Reason = "loop"                // I-34
	ReasonSenderRefused     Reason = "sender_refused"      // I-24, I-25, sender not owned (S-6)
	ReasonAuthRequired      Reason = "auth_required"       // I-48, I-51
	ReasonPolicy            Reason = "policy"              // I-26 to I-30, I-38, I-39, I-56
	ReasonGreylisted        Reason = "greylisted"          // I-20
	ReasonStorageFull       Reason = "storage_full"        // I-42, I-43
	ReasonUnavailable       Reason = "unavailable"         // I-44, I-45, I-55
	ReasonOther             Reason = "other"
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		ReasonUnknownUser, ReasonRelayDenied, ReasonRecipientDisabled, ReasonOverQuota, ReasonTooLarge, ReasonTooManyRecipients, ReasonRateLimited, ReasonMalformed,
		ReasonLoop, ReasonSenderRefused, ReasonAuthRequired, ReasonPolicy, ReasonGreylisted, ReasonStorageFull, ReasonUnavailable, ReasonOther,
	}
}

// AuthProtocol is where somebody signed in.
type AuthProtocol string

// The values of AuthProtocol (A74).
const (
	AuthSMTP    AuthProtocol = "smtp"
	AuthIMAP    AuthProtocol = "imap"
	AuthAPI     AuthProtocol = "api"
	AuthDAV     AuthProtocol = "dav"
	AuthConsole AuthProtocol = "console"
)

// AuthResult is how that ended.
type AuthResult string

// The values of AuthResult.
const (
	AuthOK        AuthResult = "ok"
	AuthFail      AuthResult = "fail"
	AuthThrottled AuthResult = "throttled"
)

// ConnProtocol is the protocol of an open connection.
type ConnProtocol string

// The values of ConnProtocol (A76).
const (
	ConnSMTP       ConnProtocol = "smtp"
	ConnSubmission ConnProtocol = "submission"
	ConnIMAP       ConnProtocol = "imap"
	ConnHTTP       ConnProtocol = "http"
)

// authLabels are the two labels of one series of auth_attempts_total.
type authLabels struct {
	result   AuthResult
	protocol AuthProtocol
}

// Metrics is every metric of the server. All series exist from the start with
// the value 0, and no call can make a new one. A nil *Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry
	// sampled holds the few that Sample reads.
	sampled     *prometheus.Registry
	received    prometheus.Counter
	sent        prometheus.Counter
	bounced     prometheus.Counter
	quota       prometheus.Counter
	missing     prometheus.Counter
	delivery    prometheus.Histogram
	rejected    map[Reason]prometheus.Counter
	auth        map[authLabels]prometheus.Counter
	connections map[ConnProtocol]prometheus.Gauge
	queueDepth  atomic.Pointer[func() float64]
	outgoing    prometheus.Gauge
	outgoingMax prometheus.Gauge
}

// NewMetrics returns the metrics in a registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), sampled: prometheus.NewRegistry()}
	m.received = m.counter("mailserver_messages_received_total", "Messages accepted from other servers.")
	m.sent = m.counter("mailserver_messages_sent_total", "Messages that a remote server accepted.")
	m.bounced = m.counter("mailserver_messages_bounced_total", "Messages that failed for good at a remote server or by a DSN.")
	m.quota = m.counter("mailserver_quota_exceeded_total", "Recipients refused because their quota is used up.")
	m.missing = m.counter("mailserver_content_missing_total", "Messages whose stored body could not be found.")
	m.delivery = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "mailserver_delivery_duration_seconds",
		Help: "Time from accepting a message to the final reply for a recipient.",
		Buckets: []float64{
			.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600,
		},
	})
	m.registry.MustRegister(m.delivery)
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailserver_queue_depth",
		Help: "Recipients waiting to be delivered.",
	}, m.depth))
	m.outgoing = m.gauge("mailserver_outbound_connections", "Dialogues with other servers that are running.")
	m.outgoingMax = m.gauge("mailserver_outbound_connections_limit", "How many such dialogues may run at once on this node.")
	m.labelled()
	return m
}

// labelled makes the series that have labels.
func (m *Metrics) labelled() {
	rejected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailserver_messages_rejected_total",
		Help: "Messages or recipients refused, by reason.",
	}, []string{"reason"})
	auth := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailserver_auth_attempts_total",
		Help: "Attempts to sign in, by result and protocol.",
	}, []string{"result", "protocol"})
	connections := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mailserver_active_connections",
		Help: "Open connections, by protocol.",
	}, []string{"protocol"})
	m.registry.MustRegister(rejected, auth, connections)
	m.sampled.MustRegister(rejected, connections)

	m.rejected = map[Reason]prometheus.Counter{}
	for _, reason := range Reasons() {
		m.rejected[reason] = rejected.WithLabelValues(string(reason))
	}
	m.auth = map[authLabels]prometheus.Counter{}
	for _, result := range []AuthResult{AuthOK, AuthFail, AuthThrottled} {
		for _, protocol := range []AuthProtocol{AuthSMTP, AuthIMAP, AuthAPI, AuthDAV, AuthConsole} {
			m.auth[authLabels{result, protocol}] = auth.WithLabelValues(string(result), string(protocol))
		}
	}
	m.connections = map[ConnProtocol]prometheus.Gauge{}
	for _, protocol := range []ConnProtocol{ConnSMTP, ConnSubmission, ConnIMAP, ConnHTTP} {
		m.connections[protocol] = connections.WithLabelValues(string(protocol))
	}
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) depth() float64 {
	if f := m.queueDepth.Load(); f != nil {
		return (*f)()
	}
	return 0
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// SetQueueDepth sets where the queue depth is read at each scrape. The
// function must answer at once, from memory or a bounded query.
func (m *Metrics) SetQueueDepth(depth func() float64) {
	if m != nil {
		m.queueDepth.Store(&depth)
	}
}

// SetOutboundLimit tells how many dialogues with other servers may run at once (A40).
func (m *Metrics) SetOutboundLimit(n int) {
	if m != nil {
		m.outgoingMax.Set(float64(n))
	}
}

// OutboundDialogue counts a dialogue with another server until the function that it gives is called.
func (m *Metrics) OutboundDialogue() (ended func()) {
	if m == nil {
		return func() {}
	}
	m.outgoing.Inc()
	return m.outgoing.Dec
}

// MessageReceived counts a message accepted from another server (A68).
func (m *Metrics) MessageReceived() {
	if m != nil {
		m.received.Inc()
	}
}

// MessageSent counts a message that a remote server accepted (A69).
func (m *Metrics) MessageSent() {
	if m != nil {
		m.sent.Inc()
	}
}

// MessageRejected counts a refusal (A70). An unknown reason counts as other.
func (m *Metrics) MessageRejected(reason Reason) {
	if m == nil {
		return
	}
	c, ok := m.rejected[reason]
	if !ok {
		c = m.rejected[ReasonOther]
	}
	c.Inc()
}

// MessageBounced counts a message that failed for good (A71).
func (m *Metrics) MessageBounced() {
	if m != nil {
		m.bounced.Inc()
	}
}

// Delivered records how long a recipient took from acceptance to the final
// reply (A72).
func (m *Metrics) Delivered(took time.Duration) {
	if m != nil {
		m.delivery.Observe(took.Seconds())
	}
}

// AuthAttempt counts an attempt to sign in (A74). Unknown values are not counted.
func (m *Metrics) AuthAttempt(result AuthResult, protocol AuthProtocol) {
	if m == nil {
		return
	}
	if c, ok := m.auth[authLabels{result, protocol}]; ok {
		c.Inc()
	}
}

// QuotaExceeded counts a recipient refused for his quota (A75).
func (m *Metrics) QuotaExceeded() {
	if m != nil {
		m.quota.Inc()
	}
}

// ContentMissing counts a message whose body is gone from the store.
func (m *Metrics) ContentMissing() {
	if m != nil {
		m.missing.Inc()
	}
}

// ConnectionOpened counts an open connection (A76) until the returned function
// is called; calling it again has no effect.
func (m *Metrics) ConnectionOpened(protocol ConnProtocol) (closed func()) {
	if m == nil {
		return func() {}
	}
	g, ok := m.connections[protocol]
	if !ok {
		return func() {}
	}
	g.Inc()
	return sync.OnceFunc(g.Dec)
}

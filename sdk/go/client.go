package mailserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Names of the environment variables that FromEnv reads.
const (
	EnvURL    = "MAILSERVER_API_URL"
	EnvAPIKey = "MAILSERVER_API_KEY"
)

// Client speaks to one server with one credential.
type Client struct {
	Domains   Domains
	Users     Users
	APIKeys   APIKeys
	DKIM      DKIM
	Emails    Emails
	Blobs     Blobs
	Queue     Queue
	Events    Events
	Mailboxes Mailboxes
	Messages  Messages
	Sink      Sink
	Stats     Stats

	api *api.ClientWithResponses
}

// Option changes a client that is being made.
type Option func(*transport)

// WithAPIKey sets the credential: an API key (ms_live_… or ms_test_…) or an access token. White space around it, as files and
// shells leave it, does not count; New refuses a key with anything inside that cannot be sent.
func WithAPIKey(key string) Option { return func(t *transport) { t.key = key } }

// WithHTTPClient replaces the HTTP client, for a proxy, a certificate authority of your own, or a test.
func WithHTTPClient(c *http.Client) Option { return func(t *transport) { t.http = c } }

// WithRetries sets how often a failed request is repeated at most; 3 without this option, 0 for never.
func WithRetries(n int) Option { return func(t *transport) { t.retries = max(n, 0) } }

// WithTimeout bounds each attempt of a request, body included; 2 minutes without this option. Uploads and batches may take 10 minutes,
// and downloads and streams are bounded by the context alone once they have begun. The context bounds the whole, repetitions and pauses included.
func WithTimeout(d time.Duration) Option { return func(t *transport) { t.timeout = d } }

// WithUserAgent puts the name of your program before that of the SDK.
func WithUserAgent(name string) Option {
	return func(t *transport) { t.agent = name + " " + userAgent }
}

const (
	userAgent      = "mailserver-go"
	defaultRetries = 3
	defaultTimeout = 2 * time.Minute
	uploadTimeout  = 10 * time.Minute
)

// New makes a client of the server at the URL, with or without the final /v1. It does not connect.
func New(serverURL string, options ...Option) (*Client, error) {
	base, err := baseURL(serverURL)
	if err != nil {
		return nil, err
	}
	t := &transport{retries: defaultRetries, timeout: defaultTimeout, agent: userAgent}
	for _, o := range options {
		o(t)
	}
	if t.key, err = credential(t.key); err != nil {
		return nil, err
	}
	t.http = withoutRedirects(t.http)
	raw, err := api.NewClientWithResponses(base, api.WithHTTPClient(t))
	if err != nil {
		return nil, err
	}
	return &Client{
		api: raw, Domains: Domains{raw}, Users: Users{raw}, APIKeys: APIKeys{raw}, DKIM: DKIM{raw}, Emails: Emails{raw}, Blobs: Blobs{raw},
		Queue: Queue{raw}, Events: Events{raw}, Mailboxes: Mailboxes{raw}, Messages: Messages{raw}, Sink: Sink{raw}, Stats: Stats{raw},
	}, nil
}

// ErrNotConfigured says that FromEnv found no URL or no key.
var ErrNotConfigured = errors.New("no connection to a mailserver is configured")

// FromEnv makes a client from MAILSERVER_API_URL and MAILSERVER_API_KEY.
func FromEnv(options ...Option) (*Client, error) {
	serverURL, key := strings.TrimSpace(os.Getenv(EnvURL)), strings.TrimSpace(os.Getenv(EnvAPIKey))
	if serverURL == "" || key == "" {
		return nil, fmt.Errorf("%w: set %s and %s", ErrNotConfigured, EnvURL, EnvAPIKey)
	}
	return New(serverURL, append([]Option{WithAPIKey(key)}, options...)...)
}

// credential gives a key without the white space around it. Its errors never quote it: they end in logs.
func credential(key string) (string, error) {
	key = strings.TrimSpace(key)
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the API key has a character inside that no key has (white space, a control character or one beyond ASCII): copy it again")
	}
	return key, nil
}

// API gives the generated client with the same credential, repetitions and problems, for operations without a method here.
func (c *Client) API() *api.ClientWithResponses { return c.api }

// baseURL takes what people have: the server's address, the same with /v1, with or without a slash at the end.
func baseURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(text), "/"), "/v1"))
	if err != nil {
		return "", fmt.Errorf("the URL of the mailserver: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("the URL of the mailserver must look like https://mail.example.test, not %q", u.Redacted())
	}
	return u.String(), nil
}

// withoutRedirects gives a client that does not follow redirects unless its owner decided about them: one from http to https would
// turn a POST into a GET, and the answer would be that of another request.
func withoutRedirects(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		own := standard.Clone()
		own.MaxIdleConnsPerHost = 32 // goroutines that send side by side keep their connections
		c.Transport = own
	}
	if c.CheckRedirect == nil {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &c
}

-- Departure: accepted emails, one row per recipient, and what the built-in sink kept.

-- +goose Up

CREATE TABLE email (
    id uuid PRIMARY KEY,
    domain_id uuid NOT NULL,
    -- account_id is the submitter's account, or NULL when an API key without a user sent.
    account_id uuid,
    -- actor is the principal that sent, in its TypeID form.
    actor text NOT NULL,
    source text NOT NULL,
    test boolean NOT NULL,
    envelope_from text NOT NULL,
    header_from text NOT NULL,
    subject text NOT NULL,
    message_id text NOT NULL,
    -- file, size and sha256 name the bytes in the outgoing store; they live until retention ends.
    file text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL,
    status text NOT NULL,
    tags jsonb NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT email_source_check CHECK (source IN ('api', 'submission')),
    CONSTRAINT email_status_check CHECK (status IN ('scheduled', 'held', 'queued', 'sending', 'deferred', 'delivered', 'bounced',
        'suppressed', 'cancelled', 'failed'))
);

-- The ways in which a list of emails is asked for, each in the order of the page.
CREATE INDEX email_domain_idx ON email (domain_id, id);
CREATE INDEX email_account_idx ON email (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX email_status_idx ON email (status, id);

CREATE TABLE email_recipient (
    id uuid PRIMARY KEY,
    email_id uuid NOT NULL,
    position integer NOT NULL,
    address text NOT NULL,
    -- kind says where the address stood: "to", "cc", "bcc", or "envelope" for submitted mail.
    kind text NOT NULL,
    -- destination is the recipient's domain; local says that it is hosted here.
    destination text NOT NULL,
    local boolean NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    transport text NOT NULL DEFAULT '',
    last_reply text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL,
    CONSTRAINT email_recipient_position_key UNIQUE (email_id, position),
    CONSTRAINT email_recipient_email_fkey FOREIGN KEY (email_id) REFERENCES email (id) ON DELETE CASCADE,
    CONSTRAINT email_recipient_status_check CHECK (status IN ('scheduled', 'held', 'queued', 'sending', 'deferred', 'delivered',
        'bounced', 'suppressed', 'cancelled', 'failed'))
);

CREATE INDEX email_recipient_address_idx ON email_recipient (address, email_id);
CREATE INDEX email_recipient_due_idx ON email_recipient (next_at) WHERE status IN ('queued', 'deferred');

CREATE TABLE sink_message (
    id uuid PRIMARY KEY,
    email_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    envelope_from text NOT NULL,
    envelope_to text NOT NULL,
    subject text NOT NULL,
    file text NOT NULL,
    size bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT sink_message_recipient_key UNIQUE (recipient_id)
);

CREATE INDEX sink_message_to_idx ON sink_message (envelope_to, id);

-- +goose Down

DROP TABLE sink_message;
DROP TABLE email_recipient;
DROP TABLE email;

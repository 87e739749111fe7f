-- Departure to other servers: one row per destination, and what an attempt leaves behind.

-- +goose Up

-- A destination is where mail of the queue goes in one dialogue: a recipient domain, or a smart host.
CREATE TABLE destination (
    name text PRIMARY KEY,
    -- The worker that drains the destination, until when by the clock of the database, and whether somebody asked meanwhile.
    lease text,
    lease_until timestamptz,
    more boolean NOT NULL DEFAULT false,
    -- held keeps everything back until a person releases it.
    held boolean NOT NULL DEFAULT false,
    -- The breaker (mail-rules O-42): failures in a row, how many connections are allowed, and nothing before next_at.
    failures integer NOT NULL DEFAULT 0,
    connections integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    -- epoch rises when a person resets the breaker, so that a worker that began before does not set it back.
    epoch integer NOT NULL DEFAULT 0,
    last_reply text NOT NULL DEFAULT '',
    last_host text NOT NULL DEFAULT '',
    last_attempt_at timestamptz,
    last_success_at timestamptz
) WITH (fillfactor = 50);

ALTER TABLE email
    -- signature holds the DKIM-Signature fields that go out before the stored bytes (O-53); prepared says that it is final.
    ADD COLUMN signature text NOT NULL DEFAULT '',
    ADD COLUMN eight_bit boolean NOT NULL DEFAULT false,
    ADD COLUMN prepared boolean NOT NULL DEFAULT false,
    ADD COLUMN expires_at timestamptz;
UPDATE email SET expires_at = created_at + interval '5 days';
ALTER TABLE email ALTER COLUMN expires_at SET NOT NULL;

ALTER TABLE email_recipient
    -- next_at is when the recipient is due; wake_at is when the scanner looks, which it moves forward itself.
    ADD COLUMN wake_at timestamptz,
    -- lease names the worker that is sending, while there is one.
    ADD COLUMN lease text NOT NULL DEFAULT '',
    -- What the last attempt met: host, address, TLS version, milliseconds, and the class of the answer (mail-rules 3.5).
    ADD COLUMN last_host text NOT NULL DEFAULT '',
    ADD COLUMN last_tls text NOT NULL DEFAULT '',
    ADD COLUMN last_class text NOT NULL DEFAULT '',
    ADD COLUMN last_ms integer NOT NULL DEFAULT 0,
    -- reported says that the sender was told about the final failure.
    ADD COLUMN reported boolean NOT NULL DEFAULT false,
    -- warned says that the sender was told about the delay.
    ADD COLUMN warned boolean NOT NULL DEFAULT false;
UPDATE email_recipient SET wake_at = next_at;
ALTER TABLE email_recipient ALTER COLUMN wake_at SET NOT NULL;

DROP INDEX email_recipient_due_idx;
CREATE INDEX email_recipient_wake_idx ON email_recipient (wake_at) WHERE status IN ('queued', 'deferred');
CREATE INDEX email_recipient_queue_idx ON email_recipient (destination, next_at, email_id, position)
    WHERE status IN ('queued', 'deferred');
-- The pages of the queue, held recipients included.
CREATE INDEX email_recipient_open_idx ON email_recipient (id) WHERE status IN ('queued', 'deferred', 'held');
-- Failures of which the sender has not been told.
CREATE INDEX email_recipient_owed_idx ON email_recipient (email_id) WHERE status IN ('bounced', 'failed') AND NOT reported;

-- Room for the versions of a row: a claim changes nothing that is indexed, and a result follows soon.
ALTER TABLE email_recipient SET (fillfactor = 60);
ALTER TABLE email SET (fillfactor = 60);

-- +goose Down

ALTER TABLE email RESET (fillfactor);
ALTER TABLE email_recipient RESET (fillfactor);
DROP INDEX email_recipient_owed_idx;
DROP INDEX email_recipient_open_idx;
DROP INDEX email_recipient_queue_idx;
DROP INDEX email_recipient_wake_idx;
CREATE INDEX email_recipient_due_idx ON email_recipient (next_at) WHERE status IN ('queued', 'deferred');
ALTER TABLE email_recipient
    DROP COLUMN wake_at, DROP COLUMN lease, DROP COLUMN last_host, DROP COLUMN last_tls, DROP COLUMN last_class, DROP COLUMN last_ms,
    DROP COLUMN reported, DROP COLUMN warned;
ALTER TABLE email
    DROP COLUMN signature, DROP COLUMN eight_bit, DROP COLUMN prepared, DROP COLUMN expires_at;
DROP TABLE destination;

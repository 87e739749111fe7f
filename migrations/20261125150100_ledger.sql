-- What happened: the event ledger, the audit log, and the memory of idempotent requests.

-- +goose Up

-- Append-only. Readers see only rows of transactions below the oldest running one and walk them by (xid, id), so that a late
-- commit is never behind a reader. Partitioned by day; a partition is made before its day begins and dropped whole.
CREATE TABLE event (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    type text NOT NULL,
    domain_id uuid,
    account_id uuid,
    -- subject is the object that the event is about, in its TypeID form.
    subject text NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (at, xid, id)
) PARTITION BY RANGE (at);

CREATE INDEX event_xid_idx ON event (xid, id);
CREATE INDEX event_subject_idx ON event (subject, xid, id);

-- Rows whose day has no partition yet; the partition keeper moves nothing, it only warns when this is not empty.
CREATE TABLE event_rest PARTITION OF event DEFAULT;

CREATE TABLE audit_event (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    domain_id uuid,
    remote text NOT NULL,
    request_id text NOT NULL,
    data jsonb NOT NULL
);

CREATE INDEX audit_event_xid_idx ON audit_event (xid, id);

CREATE TABLE idempotency (
    -- key is SHA-256 of credential, method, route and the client's key.
    key bytea PRIMARY KEY,
    fingerprint bytea NOT NULL,
    -- owner marks the running attempt; locked_until is when another may take over if no effect was recorded.
    owner uuid NOT NULL,
    locked_until timestamptz NOT NULL,
    -- effect names what the request made ("eml_…"), written in the transaction that made it.
    effect text,
    status integer,
    header jsonb,
    body bytea,
    created_at timestamptz NOT NULL
);

CREATE INDEX idempotency_created_idx ON idempotency (created_at);

-- +goose Down

DROP TABLE idempotency;
DROP TABLE audit_event;
DROP TABLE event;

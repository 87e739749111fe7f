-- Time series: what happened, counted from the ledger, and what each node measured.

-- +goose Up

-- How far the ledger has been counted. Its one row is locked by who counts, so that each event is counted once.
CREATE TABLE stat_cursor (
    single boolean PRIMARY KEY DEFAULT true,
    -- place is the text of a cursor of the ledger; '' is its beginning.
    place text NOT NULL,
    CONSTRAINT stat_cursor_single_check CHECK (single)
);
INSERT INTO stat_cursor (place) VALUES ('');

-- One row per domain and stretch of time; the nil domain holds the sum of everything, and what belongs to no domain.
CREATE TABLE stat_count (
    domain_id uuid NOT NULL,
    -- step is the length of the stretch in minutes: 1, 60 or 1440. at is its beginning, in UTC.
    step integer NOT NULL,
    at timestamptz NOT NULL,
    received bigint NOT NULL DEFAULT 0,
    accepted bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    deferred bigint NOT NULL DEFAULT 0,
    bounced bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    logins_failed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (domain_id, step, at)
) WITH (fillfactor = 70);

CREATE INDEX stat_count_age_idx ON stat_count (step, at);

-- What each node measured: the sum of the samples of a stretch and how many there were.
CREATE TABLE stat_gauge (
    metric text NOT NULL,
    step integer NOT NULL,
    at timestamptz NOT NULL,
    node text NOT NULL,
    total bigint NOT NULL,
    samples integer NOT NULL,
    PRIMARY KEY (metric, step, at, node)
) WITH (fillfactor = 70);

-- The place of the last event that was dropped with its day. A reader that stands before it has missed something.
CREATE TABLE event_floor (
    single boolean PRIMARY KEY DEFAULT true,
    xid xid8 NOT NULL,
    id uuid NOT NULL,
    CONSTRAINT event_floor_single_check CHECK (single)
);
INSERT INTO event_floor (xid, id) VALUES ('0', '00000000-0000-0000-0000-000000000000');

-- +goose Down

DROP TABLE event_floor;
DROP TABLE stat_gauge;
DROP TABLE stat_count;
DROP TABLE stat_cursor;

-- Mailboxes and messages, shaped by measurement: narrow rows, no index on a counter or on flags, every flag change in place.

-- +goose Up

CREATE TABLE mailbox (
    -- key is the narrow name used by the rows below; id is the public one.
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    -- name is the full path with "/" between levels; the inbox is "INBOX".
    name text NOT NULL,
    -- role is the special use without backslash ("drafts", "sent", "junk", "trash", "archive"), or "".
    role text NOT NULL DEFAULT '',
    subscribed boolean NOT NULL DEFAULT true,
    uid_validity bigint NOT NULL,
    uid_next bigint NOT NULL DEFAULT 1,
    modseq bigint NOT NULL DEFAULT 1,
    total integer NOT NULL DEFAULT 0,
    unseen integer NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    -- keywords names the flag bits from bit 5 on; it only grows.
    keywords text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    CONSTRAINT mailbox_id_key UNIQUE (id),
    CONSTRAINT mailbox_name_key UNIQUE (account_id, name)
) WITH (fillfactor = 50);

-- Names to which a user is subscribed although no mailbox has them (RFC 9051 §6.3.7: deleting keeps the subscription).
CREATE TABLE mailbox_subscription (
    account_id uuid NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (account_id, name)
);

CREATE TABLE message (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    -- file is the body's name in the account's store; size and sha256 are those of the stored bytes (D-8).
    file text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL,
    internal_date timestamptz NOT NULL,
    -- refs counts the mailbox rows that show this message; at 0 the row and the file go.
    refs integer NOT NULL DEFAULT 1,
    -- list holds lengths, size, date, ENVELOPE and BODYSTRUCTURE, rendered for IMAP; meta is the scanner's result.
    list bytea NOT NULL,
    meta bytea NOT NULL,
    CONSTRAINT message_id_key UNIQUE (id)
);

-- The columns are not compressed: they are read far more often than written, and small.
ALTER TABLE message ALTER COLUMN list SET STORAGE EXTERNAL;

-- No foreign keys on the two hot tables (they cost a quarter of the delivery rate); "mailserver verify" checks both ways.
CREATE TABLE mailbox_message (
    mailbox_key bigint NOT NULL,
    modseq bigint NOT NULL,
    message_key bigint NOT NULL,
    uid integer NOT NULL,
    flags integer NOT NULL,
    PRIMARY KEY (mailbox_key, uid)
) WITH (fillfactor = 50);

CREATE INDEX mailbox_message_message_idx ON mailbox_message (message_key);

-- One row per command that changed something, none per delivery: new mail is what lies at or above the UIDNEXT already known.
CREATE TABLE mailbox_change (
    mailbox_key bigint NOT NULL,
    modseq bigint NOT NULL,
    -- kind: 1 flags, 2 expunge
    kind smallint NOT NULL,
    -- uids is a list of ranges, each two 4-byte big-endian numbers.
    uids bytea NOT NULL,
    add_flags integer NOT NULL,
    del_flags integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (mailbox_key, modseq)
);

CREATE INDEX mailbox_change_at_idx ON mailbox_change USING brin (at);

-- Files that no row refers to any more; unlinked when older than ten minutes (D-25).
CREATE TABLE body_garbage (
    account_id uuid NOT NULL,
    file text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (account_id, file)
);

CREATE INDEX body_garbage_at_idx ON body_garbage (at);

-- +goose Down

DROP TABLE body_garbage;
DROP TABLE mailbox_change;
DROP TABLE mailbox_message;
DROP TABLE message;
DROP TABLE mailbox_subscription;
DROP TABLE mailbox;

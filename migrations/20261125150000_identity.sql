-- Who exists: hosted domains, accounts, credentials. Names and addresses are stored folded (lower case, A-labels), so that no
-- comparison depends on the database's locale.

-- +goose Up

CREATE TABLE domain (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    status text NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT domain_name_key UNIQUE (name),
    CONSTRAINT domain_status_check CHECK (status IN ('pending', 'verified', 'disabled'))
);

CREATE TABLE account (
    id uuid PRIMARY KEY,
    domain_id uuid NOT NULL,
    -- email is the folded address under which mail and logins arrive; local keeps the spelling that the owner gave.
    email text NOT NULL,
    local text NOT NULL,
    name text NOT NULL DEFAULT '',
    role text NOT NULL,
    status text NOT NULL,
    password_hash text NOT NULL,
    -- auth_epoch rises with every change of password, role or status and ends what was issued before (S-24).
    auth_epoch integer NOT NULL DEFAULT 1,
    quota_bytes bigint NOT NULL,
    -- next_uid_validity is the account's own counter: a deleted and created name never repeats a value (D-32).
    next_uid_validity bigint NOT NULL DEFAULT 1,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT account_email_key UNIQUE (email),
    CONSTRAINT account_domain_fkey FOREIGN KEY (domain_id) REFERENCES domain (id),
    CONSTRAINT account_role_check CHECK (role IN ('owner', 'admin', 'user')),
    CONSTRAINT account_status_check CHECK (status IN ('active', 'disabled'))
);

CREATE INDEX account_domain_idx ON account (domain_id, id);

-- An admin's domains. An owner has all, a user none.
CREATE TABLE account_domain (
    account_id uuid NOT NULL,
    domain_id uuid NOT NULL,
    PRIMARY KEY (account_id, domain_id),
    CONSTRAINT account_domain_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE,
    CONSTRAINT account_domain_domain_fkey FOREIGN KEY (domain_id) REFERENCES domain (id) ON DELETE CASCADE
);

-- A narrow row of its own, so that the counters of every delivery are updated in place (HOT).
CREATE TABLE account_usage (
    account_id uuid PRIMARY KEY,
    bytes bigint NOT NULL DEFAULT 0,
    messages bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE api_key (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- public_id is the part of the key's text by which the row is found; secret_hash is SHA-256 of the rest (S-25).
    public_id text NOT NULL,
    secret_hash bytea NOT NULL,
    mode text NOT NULL,
    scopes text[] NOT NULL,
    domain_ids uuid[] NOT NULL,
    allowed_cidrs text[] NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT api_key_public_id_key UNIQUE (public_id),
    CONSTRAINT api_key_mode_check CHECK (mode IN ('live', 'test'))
);

-- A browser session. Refresh tokens are single use: a spent one that comes back ends the session (S-23).
CREATE TABLE session (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    previous_hash bytea,
    rotated_at timestamptz NOT NULL,
    auth_epoch integer NOT NULL,
    user_agent text NOT NULL,
    remote text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT session_token_hash_key UNIQUE (token_hash),
    CONSTRAINT session_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE
);

CREATE INDEX session_previous_idx ON session (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX session_account_idx ON session (account_id);

-- The keys that sign access tokens. The newest signs, all unexpired ones verify.
CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    private_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);

-- Failures of authentication, exact and shared by all protocols and nodes (S-16, S-18).
CREATE TABLE auth_failure (
    key text NOT NULL,
    window_start timestamptz NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (key, window_start)
);

-- +goose Down

DROP TABLE auth_failure;
DROP TABLE signing_key;
DROP TABLE session;
DROP TABLE api_key;
DROP TABLE account_usage;
DROP TABLE account_domain;
DROP TABLE account;
DROP TABLE domain;

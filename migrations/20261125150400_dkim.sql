-- Secrets at rest (S-35) and the keys with which mail is signed.

-- +goose Up

-- A signing key lies sealed. private_key is what an older server wrote in the clear; it is sealed and emptied when it is next read.
ALTER TABLE signing_key ADD COLUMN sealed_key bytea;
ALTER TABLE signing_key ALTER COLUMN private_key DROP NOT NULL;
ALTER TABLE signing_key ADD CONSTRAINT signing_key_one_check CHECK (num_nonnulls(private_key, sealed_key) = 1);

-- DKIM keys of a domain. A deleted one stays as a row without its private part, so that its selector is never used again (O-51).
CREATE TABLE dkim_key (
    id uuid PRIMARY KEY,
    domain_id uuid NOT NULL,
    selector text NOT NULL,
    algorithm text NOT NULL,
    -- source says where the private key lies: sealed in sealed_key, or in a file of the operator's.
    source text NOT NULL,
    state text NOT NULL,
    -- public_key is what the p= tag of the record holds (RFC 6376 §3.6.1, RFC 8463 §4).
    public_key bytea NOT NULL,
    sealed_key bytea,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    activated_at timestamptz,
    retired_at timestamptz,
    revoked_at timestamptz,
    deleted_at timestamptz,
    CONSTRAINT dkim_key_selector_key UNIQUE (domain_id, selector),
    CONSTRAINT dkim_key_domain_fkey FOREIGN KEY (domain_id) REFERENCES domain (id) ON DELETE CASCADE,
    CONSTRAINT dkim_key_algorithm_check CHECK (algorithm IN ('rsa2048', 'rsa3072', 'rsa4096', 'ed25519')),
    CONSTRAINT dkim_key_source_check CHECK (source IN ('database', 'file')),
    CONSTRAINT dkim_key_state_check CHECK (state IN ('pending', 'active', 'retiring', 'revoked'))
);

-- One RSA and one Ed25519 key of a domain sign at a time.
CREATE UNIQUE INDEX dkim_key_active_idx ON dkim_key (domain_id, left(algorithm, 3)) WHERE state = 'active';

-- +goose Down

DROP TABLE dkim_key;
-- A sealed key cannot be opened here. Without it the older server makes a new one, and people sign in again.
DELETE FROM signing_key WHERE private_key IS NULL;
ALTER TABLE signing_key DROP CONSTRAINT signing_key_one_check;
ALTER TABLE signing_key ALTER COLUMN private_key SET NOT NULL;
ALTER TABLE signing_key DROP COLUMN sealed_key;

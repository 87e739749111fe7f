-- The smart host of a domain: all its mail to other servers goes there.

-- +goose Up

CREATE TABLE domain_relay (
    domain_id uuid PRIMARY KEY,
    host text NOT NULL,
    port integer NOT NULL,
    tls text NOT NULL,
    username text NOT NULL,
    -- password is sealed (mail-rules S-35); NULL when there is none.
    password bytea,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT domain_relay_domain_fkey FOREIGN KEY (domain_id) REFERENCES domain (id) ON DELETE CASCADE,
    CONSTRAINT domain_relay_tls_check CHECK (tls IN ('none', 'starttls', 'implicit'))
);

-- +goose Down

DROP TABLE domain_relay;

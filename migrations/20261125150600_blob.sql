-- Files that were uploaded before the emails that carry them.

-- +goose Up

CREATE TABLE blob (
    id uuid PRIMARY KEY,
    -- actor is the principal that uploaded it and who alone may use it, in its TypeID form.
    actor text NOT NULL,
    -- file, size and sha256 name the bytes in the body store, under the owner "blobs".
    file text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL,
    content_type text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX blob_actor_idx ON blob (actor, id);
CREATE INDEX blob_expires_idx ON blob (expires_at);

-- +goose Down

DROP TABLE blob;

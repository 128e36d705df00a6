-- Pictures. Their bytes lie in the object store, equal bytes once; every object there has a row in `blobs` or `condemned`,
-- written before it: what a crash leaves behind is found by its row, and nobody has to list the store.

CREATE TABLE blobs (
    hash bytea PRIMARY KEY,                 -- SHA-256 of the bytes
    key text NOT NULL UNIQUE,               -- where they lie; drawn anew when equal bytes come after these have gone
    bytes integer NOT NULL,
    doomed_ms bigint                        -- since when nothing may refer to it; from birth, until something does
);
CREATE INDEX blobs_doomed ON blobs (doomed_ms) WHERE doomed_ms IS NOT NULL;

CREATE TABLE condemned (                    -- objects that nothing will ever refer to again: to be deleted, and then this
    key text PRIMARY KEY
);

CREATE TABLE media (
    id bigint PRIMARY KEY,
    owner bigint NOT NULL,
    name text NOT NULL UNIQUE,              -- 128 drawn bits: who knows it may read the file
    bytes bigint NOT NULL,                  -- of the owner's quota: as sent, until the picture is kept
    original bytea REFERENCES blobs (hash), -- NULL: room is reserved for an upload that is under way
    small bytea REFERENCES blobs (hash),
    form text NOT NULL DEFAULT '',
    width integer NOT NULL DEFAULT 0,
    height integer NOT NULL DEFAULT 0,
    small_width integer NOT NULL DEFAULT 0,
    small_height integer NOT NULL DEFAULT 0,
    description text NOT NULL DEFAULT '',
    focus_x double precision,
    focus_y double precision,
    post bigint,                            -- that shows it, or showed it last
    place smallint NOT NULL DEFAULT 0,      -- among the pictures of that post
    sensitive boolean NOT NULL DEFAULT false,
    freed_ms bigint                         -- since when no post shows it: from the upload, until one does
);
CREATE INDEX media_by_owner ON media (owner);
CREATE INDEX media_by_post ON media (post, place) WHERE post IS NOT NULL;
CREATE INDEX media_by_original ON media (original);
CREATE INDEX media_by_small ON media (small);
CREATE INDEX media_freed ON media (freed_ms) WHERE freed_ms IS NOT NULL;

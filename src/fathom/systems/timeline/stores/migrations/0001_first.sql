-- The truth: everything else (feeds, cached posts, messages) can be lost and made again from these tables.

CREATE TABLE users (
    id bigint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    password text,                          -- argon2id; NULL: nobody can log in (accounts made in bulk)
    joined_ms bigint NOT NULL
);

CREATE TABLE counts (                       -- one row a user; whoever changes two takes the smaller id first
    user_id bigint PRIMARY KEY,
    followers integer NOT NULL DEFAULT 0 CHECK (followers >= 0),
    following integer NOT NULL DEFAULT 0 CHECK (following >= 0),
    posts integer NOT NULL DEFAULT 0 CHECK (posts >= 0),
    last_post bigint NOT NULL DEFAULT 0,    -- an author's ids only rise, also when a clock steps back
    edges bigint NOT NULL DEFAULT 0         -- raised whenever whom this user follows changes
) WITH (fillfactor = 70);

CREATE TABLE tokens (
    hash bytea PRIMARY KEY,                 -- SHA-256; the token itself is nowhere
    user_id bigint NOT NULL,
    expires_ms bigint NOT NULL
);
CREATE INDEX tokens_expiring ON tokens (expires_ms);

CREATE TABLE posts (
    id bigint PRIMARY KEY,
    author bigint NOT NULL,
    body text NOT NULL,
    at_ms bigint NOT NULL,
    deleted_ms bigint,
    likes integer NOT NULL DEFAULT 0 CHECK (likes >= 0),   -- always the number of rows in likes: same transaction
    version integer NOT NULL DEFAULT 0                      -- raised by every change, so that caches can tell old from new
) WITH (fillfactor = 90);
CREATE INDEX posts_by_author ON posts (author, id DESC) WHERE deleted_ms IS NULL;

CREATE TABLE keys (                         -- idempotency: what a client's key stands for, for a day
    author bigint NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    post bigint NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (author, key)
);
CREATE INDEX keys_by_age ON keys (at_ms);

CREATE TABLE follows (
    follower bigint NOT NULL,
    followee bigint NOT NULL,
    ended_ms bigint,                        -- kept for a while, so that a feed being rebuilt knows whom to hide
    PRIMARY KEY (follower, followee) INCLUDE (ended_ms)
);
CREATE INDEX followers ON follows (followee, follower) WHERE ended_ms IS NULL;
CREATE INDEX follows_ended ON follows (ended_ms) WHERE ended_ms IS NOT NULL;

CREATE TABLE blocks (
    blocker bigint NOT NULL,
    blocked bigint NOT NULL,
    PRIMARY KEY (blocker, blocked)
);
CREATE INDEX blocks_by_blocked ON blocks (blocked, blocker);

CREATE TABLE likes (
    post bigint NOT NULL,
    user_id bigint NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (post, user_id)
);
CREATE INDEX likes_newest ON likes (post, seq DESC);

CREATE TABLE outbox (                       -- what was accepted and has not yet taken effect everywhere
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,                     -- 'post', 'delete', 'edge' or 'tally'
    who bigint NOT NULL,                    -- the author; of an edge, the reader whose home it changes
    what bigint NOT NULL,                   -- the post; of an edge, the author
    at_ms bigint NOT NULL
) WITH (fillfactor = 100, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TABLE generations (                  -- feeds are made anew when the approach, its knobs or our trust changes
    generation bigint PRIMARY KEY,
    approach text NOT NULL,
    knobs text NOT NULL,
    retired boolean NOT NULL DEFAULT false
);

CREATE TABLE stars (                        -- authors whose posts are pulled, by generation of feeds
    generation bigint NOT NULL,
    author bigint NOT NULL,
    mode text NOT NULL,                     -- 'rising' (pushed and pulled), 'star' (pulled), 'falling' (both)
    PRIMARY KEY (generation, author)
);

CREATE TABLE trust (                        -- one row: which Redis we last used, so that one that forgot is noticed
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    redis_run text NOT NULL DEFAULT '',
    redis_client bigint NOT NULL DEFAULT 0, -- our connection: what still lies in its socket must not be carried out
    era bigint NOT NULL DEFAULT 1           -- of the cached posts; raised to forget them all at once
);
INSERT INTO trust DEFAULT VALUES;

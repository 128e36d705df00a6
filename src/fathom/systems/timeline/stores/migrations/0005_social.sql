-- Answers, boosts, mentions, mutes, notices, and programs that act for people.

ALTER TABLE users
    ADD COLUMN display text NOT NULL DEFAULT '',
    ADD COLUMN note text NOT NULL DEFAULT '';
CREATE INDEX users_by_name ON users (name text_pattern_ops);
CREATE INDEX users_by_display ON users (lower(display) text_pattern_ops);

ALTER TABLE posts
    ADD COLUMN boosts integer NOT NULL DEFAULT 0 CHECK (boosts >= 0),    -- always the number of rows that show it …
    ADD COLUMN replies integer NOT NULL DEFAULT 0 CHECK (replies >= 0),  -- … and that answer it, and are not deleted
    ADD COLUMN reply_to bigint,
    ADD COLUMN boost_of bigint,             -- a boost is a post of its own, without a body, and is delivered like one
    ADD COLUMN warning text NOT NULL DEFAULT '',
    ADD COLUMN listed boolean NOT NULL DEFAULT true;
DROP INDEX posts_latest;                    -- boosts and the unlisted do not stand among everybody's posts
CREATE INDEX posts_latest ON posts (at_ms DESC, id DESC) WHERE deleted_ms IS NULL AND boost_of IS NULL AND listed;
CREATE UNIQUE INDEX boosts_once ON posts (boost_of, author) WHERE boost_of IS NOT NULL AND deleted_ms IS NULL;
CREATE INDEX boosts_newest ON posts (boost_of, id DESC) WHERE boost_of IS NOT NULL AND deleted_ms IS NULL;
CREATE INDEX replies ON posts (reply_to, id) WHERE reply_to IS NOT NULL AND deleted_ms IS NULL;
CREATE INDEX posts_public ON posts (id DESC)
    WHERE deleted_ms IS NULL AND boost_of IS NULL AND reply_to IS NULL AND listed;
CREATE INDEX likes_by_user ON likes (user_id, post DESC);

CREATE TABLE mentions (
    post bigint NOT NULL,
    user_id bigint NOT NULL,
    PRIMARY KEY (post, user_id)
);

CREATE TABLE tags (                         -- what listed posts say of themselves with #
    tag text NOT NULL,
    post bigint NOT NULL,
    PRIMARY KEY (tag, post)
);

CREATE TABLE mutes (
    muter bigint NOT NULL,
    muted bigint NOT NULL,
    until_ms bigint,                        -- NULL: until it is lifted
    at_ms bigint NOT NULL,                  -- a feed being rebuilt hides for a while whom a push may still bring
    PRIMARY KEY (muter, muted)
);
CREATE INDEX mutes_by_muted ON mutes (muted, muter);
CREATE INDEX mutes_expiring ON mutes (until_ms) WHERE until_ms IS NOT NULL;

CREATE TABLE notices (                      -- given once: what is taken back and done again gives no second one
    user_id bigint NOT NULL,
    id bigint NOT NULL,
    kind text NOT NULL,                     -- 'follow', 'like', 'boost' or 'mention'
    who bigint NOT NULL,
    post bigint NOT NULL DEFAULT 0,         -- 0: it is about none
    at_ms bigint NOT NULL,
    dismissed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, id)
);
CREATE UNIQUE INDEX notices_once ON notices (user_id, kind, who, post);

CREATE TABLE apps (
    id text PRIMARY KEY,
    secret bytea NOT NULL,                  -- SHA-256, as all secrets here
    name text NOT NULL,
    website text,
    redirects text[] NOT NULL,
    scopes text[] NOT NULL,
    at_ms bigint NOT NULL
);
CREATE INDEX apps_by_age ON apps (at_ms);

CREATE TABLE codes (                        -- between somebody's consent and the token
    hash bytea PRIMARY KEY,
    app text NOT NULL,
    user_id bigint NOT NULL,
    scopes text[] NOT NULL,
    redirect text NOT NULL,
    challenge text,
    expires_ms bigint NOT NULL
);
CREATE INDEX codes_expiring ON codes (expires_ms);

CREATE TABLE grants (
    hash bytea PRIMARY KEY,
    app text NOT NULL,
    user_id bigint,                         -- NULL: the program acts for nobody
    scopes text[] NOT NULL,
    at_ms bigint NOT NULL
);
CREATE INDEX grants_by_app ON grants (app, user_id, at_ms DESC);

-- The directory: who there is, which spaces they may use, and where the tables of a space lie.

CREATE TABLE users (
    id bigint PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    password text,
    joined_ms bigint NOT NULL
);
CREATE TABLE tokens (
    hash bytea PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    expires_ms bigint NOT NULL
);
CREATE INDEX tokens_by_user ON tokens (user_id, expires_ms);
CREATE INDEX tokens_by_end ON tokens (expires_ms);
CREATE TABLE uses (
    user_id bigint NOT NULL REFERENCES users,
    space bigint NOT NULL UNIQUE,
    PRIMARY KEY (user_id, space)
);
CREATE TABLE shards (
    shard integer PRIMARY KEY,
    place text NOT NULL
);
INSERT INTO shards SELECT shard, 'truth' FROM generate_series(0, 1023) AS shard;

-- What follows is a space's own, and lies together: each row names its space. Room is left beside a row that changes
-- with each commit, so that its next version finds place on its page.

CREATE TABLE spaces (
    id bigint PRIMARY KEY,
    owner bigint NOT NULL,
    epoch text NOT NULL,
    quota bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    head bigint NOT NULL DEFAULT 0,
    last_id bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE nodes (
    space bigint NOT NULL,
    id bigint NOT NULL,
    parent bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    digest bytea,
    size bigint,
    modified_ms bigint NOT NULL,
    at_ms bigint NOT NULL,
    device text NOT NULL,
    gone boolean NOT NULL,
    PRIMARY KEY (space, id)
);
CREATE UNIQUE INDEX nodes_by_name ON nodes (space, parent, key) WHERE NOT gone;
CREATE INDEX nodes_folders ON nodes (space, parent) WHERE digest IS NULL AND NOT gone;
CREATE INDEX nodes_gone ON nodes (space, id) WHERE gone;

CREATE TABLE versions (
    space bigint NOT NULL,
    node bigint NOT NULL,
    version bigint NOT NULL,
    cutting text NOT NULL,
    seq bigint NOT NULL,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    modified_ms bigint NOT NULL,
    at_ms bigint NOT NULL,
    device text NOT NULL,
    PRIMARY KEY (space, node, version)
);
CREATE TABLE parts (
    space bigint NOT NULL,
    node bigint NOT NULL,
    version bigint NOT NULL,
    position integer NOT NULL,
    digest bytea NOT NULL,
    size integer NOT NULL,
    PRIMARY KEY (space, node, version, position)
);
CREATE INDEX parts_by_digest ON parts (space, digest);

CREATE TABLE journal (
    space bigint NOT NULL,
    seq bigint NOT NULL,
    node text NOT NULL,
    PRIMARY KEY (space, seq)
);
CREATE TABLE done (
    space bigint NOT NULL,
    key bytea NOT NULL,
    edit bytea NOT NULL,
    outcome text NOT NULL,
    PRIMARY KEY (space, key)
);

CREATE TABLE packs (
    id text PRIMARY KEY,
    space bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('writing', 'kept', 'gone')),
    size bigint NOT NULL,
    held bigint NOT NULL,
    at_ms bigint NOT NULL,
    scrubbed_ms bigint NOT NULL
);
CREATE INDEX packs_by_space ON packs (space, scrubbed_ms);
CREATE TABLE chunks (
    space bigint NOT NULL,
    digest bytea NOT NULL,
    size integer NOT NULL,
    state text NOT NULL CHECK (state IN ('live', 'condemned', 'quarantined')),
    pack text NOT NULL,
    start bigint NOT NULL,
    condemned_ms bigint,
    PRIMARY KEY (space, digest)
);
CREATE INDEX chunks_by_pack ON chunks (pack);
CREATE INDEX chunks_condemned ON chunks (space, condemned_ms) WHERE condemned_ms IS NOT NULL;

CREATE TABLE sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    space bigint NOT NULL,
    user_id bigint NOT NULL,
    expires_ms bigint NOT NULL,
    reserved bigint NOT NULL
);
CREATE INDEX sessions_by_space ON sessions (space, expires_ms);
CREATE TABLE leases (
    session bigint NOT NULL,
    digest bytea NOT NULL,
    position integer NOT NULL,
    space bigint NOT NULL,
    size integer NOT NULL,
    reserved boolean NOT NULL,
    PRIMARY KEY (session, digest)
);
CREATE INDEX leases_by_digest ON leases (space, digest);

-- How far each saga has come, one word and step after another; and which transactions in two phases are to commit.

CREATE TABLE sagas (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('place', 'settle', 'cancel')),
    order_id bigint NOT NULL,
    reference text COLLATE "C" NOT NULL DEFAULT '',
    body bytea NOT NULL,
    log text[] NOT NULL DEFAULT '{}',
    ended text COLLATE "C" CHECK (ended IN ('done', 'undone')),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (order_id, kind, reference)
) WITH (fillfactor = 70);
CREATE INDEX sagas_open ON sagas (at) WHERE ended IS NULL;

CREATE TABLE verdicts (                     -- whoever writes first decides
    global_id text COLLATE "C" PRIMARY KEY,
    commits boolean NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)

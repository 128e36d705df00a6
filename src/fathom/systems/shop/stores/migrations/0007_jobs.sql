-- Pictures on their way to their smaller sizes. The row is the truth of a job; which broker hands it out is a decision.

CREATE TABLE jobs (
    id bigint PRIMARY KEY,
    item bigint NOT NULL REFERENCES items,
    name text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'working', 'done', 'dead')),
    tries integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT clock_timestamp(),
    because text NOT NULL DEFAULT ''
);
CREATE INDEX jobs_by_state ON jobs (state, id DESC);
CREATE INDEX jobs_due ON jobs (due) WHERE state IN ('waiting', 'working')

-- Pictures on their way to their smaller sizes. The row is the truth of a job; which broker hands it out is a decision.
-- Who hands it out may do so twice: `tries` says whose it is, and a job that is done or dead is nobody's any more.

CREATE TABLE jobs (
    id bigint PRIMARY KEY,
    item bigint NOT NULL REFERENCES items,
    name text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,                  -- of the picture as it came: the same one sent again is the same job
    route text COLLATE "C" NOT NULL,        -- who may do it: quick ones do not wait behind large ones
    state text COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'working', 'done', 'dead')),
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    due timestamptz NOT NULL DEFAULT clock_timestamp(), -- when it may be handed out, or handed out again
    because text NOT NULL DEFAULT '',
    UNIQUE (item, name)
) WITH (fillfactor = 70);
CREATE INDEX jobs_by_state ON jobs (state, id DESC);
CREATE INDEX jobs_due ON jobs (route, due) WHERE state IN ('waiting', 'working');

INSERT INTO transitions VALUES
    ('job', 'waiting', 'working'), ('job', 'working', 'waiting'), ('job', 'working', 'done'), ('job', 'working', 'dead'),
    ('job', 'dead', 'waiting');             -- staff let it be tried again
CREATE TRIGGER job_follows BEFORE UPDATE OF state ON jobs
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION follows('job')

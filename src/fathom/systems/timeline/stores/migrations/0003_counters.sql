-- Likes are rows of `likes`; how many there are may lie in three places, and all approaches but counting on read keep
--   number of rows = posts.likes + sum(like_shards.n) + sum(like_changes.change)
-- so that one can take over from another. While `counting.kept` is false only the rows themselves are right.

-- While nobody keeps the numbers they may be anything, and whoever takes over begins before all are made right again.
ALTER TABLE posts DROP CONSTRAINT posts_likes_check;

CREATE TABLE like_shards (                  -- a post's number in several rows: likes at once seldom meet in one
    post bigint NOT NULL,
    shard smallint NOT NULL,
    n integer NOT NULL,
    version integer NOT NULL,               -- only rises; with posts.version it tells old copies from new
    PRIMARY KEY (post, shard)
) WITH (fillfactor = 50);

CREATE TABLE like_changes (                 -- what is still to be added up
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    post bigint NOT NULL,
    change smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TABLE counting (                     -- one row
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    kept boolean NOT NULL DEFAULT true,
    turn bigint NOT NULL DEFAULT 0          -- raised whenever an approach begins: whoever counts anew for an older one stops
);
INSERT INTO counting DEFAULT VALUES;

-- What trends is looked for among the posts of a day; they lie together, so this small index leaves out all others.
CREATE INDEX posts_by_time ON posts USING brin (at_ms) WITH (pages_per_range = 16, autosummarize = on);

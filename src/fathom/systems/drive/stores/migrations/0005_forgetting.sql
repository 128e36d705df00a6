-- What a journal tells is let go of after as long as what was deleted: `floor` is the newest change that is not told any
-- more. Keys of edits go with it. What was there before this step counts from now.

ALTER TABLE spaces ADD COLUMN floor bigint NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN at_ms bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint;
ALTER TABLE done ADD COLUMN at_ms bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint;
ALTER TABLE journal ALTER COLUMN at_ms DROP DEFAULT;
ALTER TABLE done ALTER COLUMN at_ms DROP DEFAULT;
CREATE INDEX done_by_age ON done (space, at_ms);

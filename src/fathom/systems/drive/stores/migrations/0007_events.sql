-- What each change of a journal was, and up to which one the stream of events was told it. Journals did not say the
-- first until now, so what they have is told to nobody: whoever reads the stream finds it in the tree.
--
-- There is no index of spaces of which something is not told: it would have each commit write to two indexes of `spaces`,
-- where it writes to none now, also in drives that have no stream.

ALTER TABLE journal ADD COLUMN kind text;
ALTER TABLE spaces ADD COLUMN told bigint NOT NULL DEFAULT 0;
UPDATE spaces SET told = head;

-- Everybody's posts, newest first: the time and the number are one order, and no two posts have the same place in it.
CREATE INDEX posts_latest ON posts (at_ms DESC, id DESC) WHERE deleted_ms IS NULL;

-- Numbers as most databases give them: each before its row is committed, so not in the order of the commits.
CREATE SEQUENCE post_numbers AS bigint;

-- While a drive has one node, each node has a space of its own, as far as statistics know. A planner who believes that
-- looks names up by the space alone, and goes on to do so when there are twenty thousand, until somebody looks again.

ALTER TABLE nodes ALTER COLUMN space SET (n_distinct = 100);
ANALYZE nodes;

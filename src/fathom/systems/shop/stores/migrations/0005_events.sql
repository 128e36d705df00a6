-- What happened to orders, in the transaction in which it happened. Numbers are drawn before a transaction commits: a
-- slow one's come to light behind those of a quicker one. `tx` is for readers that wait for the slow ones.

CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    order_id bigint NOT NULL,
    version integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    body jsonb NOT NULL,
    UNIQUE (order_id, version)
);
CREATE INDEX outbox_by_commit ON outbox (tx, seq);

-- The log that everybody reads: events in the order in which they were committed, without gaps in `seq`.

CREATE TABLE events (
    seq bigint PRIMARY KEY,
    order_id bigint NOT NULL,
    version integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    body jsonb NOT NULL,
    UNIQUE (order_id, version)
);
CREATE TABLE readers (                      -- how far each read model has read
    name text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL
);
CREATE TABLE sales (
    item bigint PRIMARY KEY,
    quantity bigint NOT NULL,
    amount bigint NOT NULL
)

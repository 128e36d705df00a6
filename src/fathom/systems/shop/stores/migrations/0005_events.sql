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

-- The log that everybody reads: events in the order in which they were committed, without gaps in `seq`. An order's
-- version makes an event recognisable that comes a second time.

CREATE TABLE events (
    seq bigint PRIMARY KEY,
    order_id bigint NOT NULL,
    version integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    body jsonb NOT NULL,
    UNIQUE (order_id, version)
);

-- How far each read model has read, in the transaction that changes it; and the read models.

CREATE TABLE readers (
    name text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL
);
CREATE TABLE summaries (
    order_id bigint PRIMARY KEY,
    user_id bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    quantity bigint NOT NULL,
    amount bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    created_ms bigint NOT NULL,
    changed_ms bigint NOT NULL
);
CREATE INDEX summaries_of_user ON summaries (user_id, order_id DESC);
CREATE TABLE sales (
    item bigint PRIMARY KEY,
    quantity bigint NOT NULL,
    amount bigint NOT NULL
);
CREATE TABLE tallies (
    status text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    orders bigint NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (status, currency)
)

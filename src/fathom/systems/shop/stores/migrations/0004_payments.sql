-- Each attempt to take an order's money is written down before the provider is asked, under the reference that the
-- provider knows it by: so it can be asked what became of it, however this ended.

CREATE TABLE attempts (
    reference text COLLATE "C" PRIMARY KEY,
    order_id bigint NOT NULL,
    shard smallint NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text COLLATE "C" NOT NULL,
    method text NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'asked' CHECK (
        state IN ('asked', 'charged', 'declined', 'refunding', 'refunded')),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (shard, order_id) REFERENCES orders
);
CREATE INDEX attempts_of_order ON attempts (order_id, at);
CREATE INDEX attempts_open ON attempts (at) WHERE state IN ('asked', 'refunding');
CREATE UNIQUE INDEX attempts_one_at_a_time ON attempts (order_id) WHERE state IN ('asked', 'charged');

INSERT INTO transitions VALUES
    ('attempt', 'asked', 'charged'),
    ('attempt', 'asked', 'declined'),
    ('attempt', 'asked', 'refunding'),      -- charged, and nothing is left to sell
    ('attempt', 'declined', 'refunding'),   -- the provider contradicts itself, and has the money
    ('attempt', 'charged', 'refunding'),
    ('attempt', 'refunding', 'refunded');
CREATE TRIGGER attempt_follows BEFORE UPDATE OF state ON attempts
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION follows('attempt')

-- Orders lie in shards by who ordered, and an order's id says in which: (id >> 8) & 15. So one order is found in one
-- place by its id alone, and all of one user's lie together.

CREATE TABLE orders (
    shard smallint NOT NULL CHECK (shard = (id >> 8) & 15),
    id bigint NOT NULL,
    user_id bigint NOT NULL REFERENCES users,
    status text COLLATE "C" NOT NULL DEFAULT 'pending',
    total bigint NOT NULL CHECK (total >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    address jsonb NOT NULL,
    version integer NOT NULL DEFAULT 1,
    hold bigint NOT NULL DEFAULT 0,
    created_ms bigint NOT NULL,
    until timestamptz NOT NULL,
    charged bigint NOT NULL DEFAULT 0 CHECK (charged BETWEEN 0 AND total),
    because text NOT NULL DEFAULT '',
    PRIMARY KEY (shard, id),
    CONSTRAINT what_is_confirmed_is_paid CHECK (
        status NOT IN ('confirmed', 'shipped', 'delivered') OR charged = total)
) PARTITION BY LIST (shard);
CREATE TABLE orders_0 PARTITION OF orders FOR VALUES IN (0, 1, 2, 3) WITH (fillfactor = 70);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES IN (4, 5, 6, 7) WITH (fillfactor = 70);
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES IN (8, 9, 10, 11) WITH (fillfactor = 70);
CREATE TABLE orders_3 PARTITION OF orders FOR VALUES IN (12, 13, 14, 15) WITH (fillfactor = 70);
CREATE INDEX orders_of_user ON orders (user_id, id DESC);
CREATE INDEX orders_by_status ON orders (status, id DESC);

CREATE TABLE order_lines (
    shard smallint NOT NULL,
    order_id bigint NOT NULL,
    item bigint NOT NULL REFERENCES items,
    name text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    price bigint NOT NULL CHECK (price >= 0), -- of one, when it was ordered
    seats text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (shard, order_id, item),
    FOREIGN KEY (shard, order_id) REFERENCES orders
);
CREATE TABLE order_changes (                -- the path that an order went, written by its trigger
    shard smallint NOT NULL,
    order_id bigint NOT NULL,
    version integer NOT NULL,
    status text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (shard, order_id, version)
);

INSERT INTO transitions VALUES
    ('order', 'pending', 'payment-processing'),
    ('order', 'pending', 'confirmed'),      -- there was nothing to pay
    ('order', 'pending', 'cancelled'),
    ('order', 'payment-processing', 'pending'),
    ('order', 'payment-processing', 'confirmed'),
    ('order', 'payment-processing', 'cancelled'),
    ('order', 'confirmed', 'shipped'),
    ('order', 'confirmed', 'cancelled'),
    ('order', 'shipped', 'delivered');

CREATE FUNCTION order_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> 'pending' OR NEW.version <> 1 THEN
        RAISE check_violation USING MESSAGE = 'an order begins pending, at version 1';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION order_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM transitions WHERE machine = 'order' AND before = OLD.status AND after = NEW.status
    ) THEN
        RAISE check_violation
            USING MESSAGE = format('an order does not become %s when it is %s', NEW.status, OLD.status);
    END IF;
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;
CREATE FUNCTION order_went_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_changes VALUES
        (NEW.shard, NEW.id, NEW.version, NEW.status, (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
    RETURN NULL;
END $$;
CREATE TRIGGER order_begins BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION order_begins();
CREATE TRIGGER order_follows BEFORE UPDATE OF status ON orders
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION order_follows();
CREATE TRIGGER order_went_on_new AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION order_went_on();
CREATE TRIGGER order_went_on AFTER UPDATE OF status ON orders
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION order_went_on();

-- What somebody asked under which key, as a digest of it, and what the answer was: NULL while it is under way.

CREATE TABLE keys (
    user_id bigint NOT NULL,
    verb text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    asked bytea NOT NULL,
    answer bytea,
    effect bigint,                          -- the id of what was made, for who finds a key without an answer
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, verb, key)
);
CREATE INDEX keys_by_age ON keys (at)

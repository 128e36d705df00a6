-- What may become of something, as data: whoever writes a state that does not follow from the one before is refused,
-- whatever the code believed.

CREATE TABLE transitions (
    machine text COLLATE "C" NOT NULL,
    before text COLLATE "C" NOT NULL,
    after text COLLATE "C" NOT NULL,
    PRIMARY KEY (machine, before, after)
);
INSERT INTO transitions VALUES
    ('reservation', 'held', 'sold'),
    ('reservation', 'held', 'released'),
    ('reservation', 'sold', 'released');    -- a paid order was cancelled

CREATE FUNCTION follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM transitions WHERE machine = TG_ARGV[0] AND before = OLD.state AND after = NEW.state) THEN
        RAISE check_violation
            USING MESSAGE = format('a %s does not become %s when it is %s', TG_ARGV[0], NEW.state, OLD.state);
    END IF;
    RETURN NEW;
END $$;

-- Room is left beside a row that changes with each order, so that its next version finds place on its page.

CREATE TABLE stock (
    item bigint PRIMARY KEY REFERENCES items,
    received bigint NOT NULL DEFAULT 0,
    available bigint NOT NULL DEFAULT 0 CHECK (available >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    sold bigint NOT NULL DEFAULT 0 CHECK (sold >= 0),
    version bigint NOT NULL DEFAULT 0,
    CONSTRAINT nothing_is_lost CHECK (available + held + sold = received)
) WITH (fillfactor = 50);

CREATE TABLE stock_kept (                   -- what says how many are left; who keeps it elsewhere counts anew first
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    kept_in text COLLATE "C" NOT NULL
);
INSERT INTO stock_kept (kept_in) VALUES ('counters');

-- The stock does not know orders: what it set aside for one that never came to be is free again when its time is over.

CREATE TABLE reservations (
    order_id bigint NOT NULL,
    item bigint NOT NULL REFERENCES items,
    quantity integer NOT NULL CHECK (quantity > 0),
    state text COLLATE "C" NOT NULL DEFAULT 'held',
    until timestamptz NOT NULL,             -- by the clock of the database alone
    PRIMARY KEY (order_id, item)
) WITH (fillfactor = 80);
CREATE INDEX reservations_by_end ON reservations (until) WHERE state = 'held';
CREATE TRIGGER reservation_follows BEFORE UPDATE OF state ON reservations
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION follows('reservation');

-- One row for each thing on the shelf, for the approach that gives them out one by one.

CREATE TABLE units (
    item bigint NOT NULL REFERENCES items,
    unit bigint NOT NULL,
    order_id bigint,
    PRIMARY KEY (item, unit)
) WITH (fillfactor = 70);
CREATE INDEX units_free ON units (item, unit) WHERE order_id IS NULL;
CREATE INDEX units_by_order ON units (order_id) WHERE order_id IS NOT NULL

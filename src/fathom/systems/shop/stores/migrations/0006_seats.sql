-- Seats of concerts. A seat keeps the highest token that it has seen, and refuses every lower one.

CREATE TABLE concerts (
    id bigint PRIMARY KEY REFERENCES items,
    seats integer NOT NULL CHECK (seats > 0),
    starts_ms bigint NOT NULL
);
CREATE TABLE holds (
    id bigint PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    concert bigint NOT NULL REFERENCES concerts,
    seats text[] NOT NULL,
    token bigint NOT NULL,
    until timestamptz NOT NULL,
    order_id bigint                         -- what it is kept for, once somebody checks out with it
);
CREATE SEQUENCE seat_tokens;
CREATE TABLE seats (
    concert bigint NOT NULL REFERENCES concerts,
    row integer NOT NULL,
    number integer NOT NULL,
    seat text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'free' CHECK (state IN ('free', 'held', 'sold')),
    token bigint NOT NULL DEFAULT 0,
    hold bigint,
    until timestamptz,
    order_id bigint,
    PRIMARY KEY (concert, seat),
    CHECK ((state = 'sold') = (order_id IS NOT NULL))
) WITH (fillfactor = 70);

CREATE FUNCTION seat_is_fenced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.token < OLD.token THEN
        RAISE check_violation
            USING MESSAGE = format('seat %s has seen token %s, and refuses %s', OLD.seat, OLD.token, NEW.token);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER seat_is_fenced BEFORE UPDATE ON seats FOR EACH ROW EXECUTE FUNCTION seat_is_fenced();

INSERT INTO transitions VALUES
    ('seat', 'free', 'held'), ('seat', 'free', 'sold'), ('seat', 'held', 'free'), ('seat', 'held', 'sold'),
    ('seat', 'sold', 'free');
CREATE TRIGGER seat_follows BEFORE UPDATE OF state ON seats
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION follows('seat')

-- Who buys, and what is sold. How many there are of it is told elsewhere: what describes an item is cached, its stock
-- changes with each order.

CREATE TABLE users (
    id bigint PRIMARY KEY,                  -- ids of 53 bits that sort by time
    email text COLLATE "C" NOT NULL UNIQUE, -- in lower case
    password text,                          -- argon2id; NULL: nobody can log in
    staff boolean NOT NULL DEFAULT false,
    joined_ms bigint NOT NULL
);
CREATE TABLE tokens (
    hash bytea PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    expires_ms bigint NOT NULL
);
CREATE INDEX tokens_by_user ON tokens (user_id, expires_ms);
CREATE INDEX tokens_by_end ON tokens (expires_ms);

CREATE TABLE items (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL,
    category text COLLATE "C" NOT NULL,
    price bigint NOT NULL CHECK (price >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    version bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    pictures text[] NOT NULL DEFAULT '{}',
    words tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', name), 'A') || setweight(to_tsvector('simple', category), 'B')
        || setweight(to_tsvector('simple', description), 'C')
    ) STORED
);
CREATE INDEX items_by_category ON items (category, id DESC);
CREATE INDEX items_by_price ON items (price, id);
CREATE INDEX items_by_words ON items USING gin (words);

CREATE TABLE carts (
    user_id bigint NOT NULL REFERENCES users,
    item bigint NOT NULL REFERENCES items,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (user_id, item)
)

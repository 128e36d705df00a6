-- What programs wrote on files and folders: no change of the journal; the root, 0, has no row of its own among nodes.

CREATE TABLE properties (
    space bigint NOT NULL,
    node bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (space, node, name)
);

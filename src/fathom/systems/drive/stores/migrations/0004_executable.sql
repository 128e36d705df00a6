-- Whether a file is a program: of each version, as its bytes are.

ALTER TABLE nodes ADD COLUMN executable boolean NOT NULL DEFAULT false;
ALTER TABLE versions ADD COLUMN executable boolean NOT NULL DEFAULT false;

-- What is remembered in a session: how far something has come, and what it takes to go on. It ends with the session.

ALTER TABLE sessions ADD COLUMN remembered bigint;
ALTER TABLE sessions ADD COLUMN state bytea;
-- Digests, and bytes of files that mostly are compressed already: to try it again costs more than it saves.
ALTER TABLE sessions ALTER COLUMN state SET STORAGE EXTERNAL;

-- What is known of a waiting picture beforehand, so that none takes more than its share.

-- How long work on it may take, milliseconds, as its header tells.
ALTER TABLE pictures ADD COLUMN work_ms INTEGER NOT NULL DEFAULT 0;
-- The most bytes that its files can take, until they are stored: what is accepted has its room.
ALTER TABLE pictures ADD COLUMN reserved_bytes INTEGER NOT NULL DEFAULT 0;
-- 1 where there was no room all the same, because the limit was lowered: then the bytes that it needs are known, and it is
-- tried again once they are free.
ALTER TABLE pictures ADD COLUMN lacks_room INTEGER NOT NULL DEFAULT 0;
-- How many attempts ended with the process. Each of them doubles the memory that is set aside for the next.
ALTER TABLE pictures ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0;

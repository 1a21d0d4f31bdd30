-- Lists, searches, counts and sums that need not read every picture.

-- What can be searched for: a word, a phrase of a few words within one tag, a whole tag as |tabby cat|, and the empty text,
-- which every published picture has.
CREATE TABLE terms (
    -- Never given to another term again, because a search under way may still ask for it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    term TEXT NOT NULL UNIQUE,
    -- How many published pictures have it. A term that none has is deleted.
    pictures INTEGER NOT NULL CHECK (pictures > 0)
) STRICT;

-- Which pictures have a term, as sets of 8,192 sequence numbers: `chunk` is the sequence number divided by 8,192. `members`
-- is the rest of each, two bytes with the lower one first, in order; or, of 512 members and more, 1,024 bytes with one bit
-- for each.
CREATE TABLE postings (
    term INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    members BLOB NOT NULL,
    PRIMARY KEY (term, chunk)
) STRICT, WITHOUT ROWID;

-- How many published pictures have each tag. A tag that none has is deleted.
CREATE TABLE tag_counts (
    name TEXT PRIMARY KEY,
    pictures INTEGER NOT NULL CHECK (pictures > 0)
) STRICT, WITHOUT ROWID;

INSERT INTO tag_counts (name, pictures)
SELECT json_extract(tag.value, '$.name') AS name, count(*)
FROM pictures, json_each(pictures.tags) AS tag WHERE state = 'published' GROUP BY name;

-- One row: the sum of `stored_bytes` of all pictures.
CREATE TABLE totals (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    stored_bytes INTEGER NOT NULL
) STRICT;

INSERT INTO totals (only, stored_bytes) SELECT 1, coalesce(sum(stored_bytes), 0) FROM pictures;
DROP INDEX pictures_stored;

CREATE TRIGGER pictures_stored_inserted AFTER INSERT ON pictures WHEN new.stored_bytes <> 0 BEGIN
    UPDATE totals SET stored_bytes = stored_bytes + new.stored_bytes;
END;
CREATE TRIGGER pictures_stored_changed AFTER UPDATE OF stored_bytes ON pictures
WHEN new.stored_bytes <> old.stored_bytes BEGIN
    UPDATE totals SET stored_bytes = stored_bytes + new.stored_bytes - old.stored_bytes;
END;
CREATE TRIGGER pictures_stored_deleted AFTER DELETE ON pictures WHEN old.stored_bytes <> 0 BEGIN
    UPDATE totals SET stored_bytes = stored_bytes - old.stored_bytes;
END;

-- How many uploads came in each minute since 1970, and what has become of them.
CREATE TABLE arrivals (
    minute INTEGER NOT NULL,
    looked INTEGER NOT NULL,
    state TEXT NOT NULL,
    uploads INTEGER NOT NULL,
    PRIMARY KEY (minute, looked, state)
) STRICT, WITHOUT ROWID;

INSERT INTO arrivals (minute, looked, state, uploads)
SELECT received_at / 60, looked, state, count(*) FROM pictures GROUP BY 1, 2, 3;

CREATE TRIGGER pictures_arrived AFTER INSERT ON pictures BEGIN
    INSERT INTO arrivals (minute, looked, state, uploads) VALUES (new.received_at / 60, new.looked, new.state, 1)
    ON CONFLICT DO UPDATE SET uploads = uploads + 1;
END;
CREATE TRIGGER pictures_became AFTER UPDATE OF looked, state ON pictures
WHEN new.looked <> old.looked OR new.state <> old.state BEGIN
    UPDATE arrivals SET uploads = uploads - 1
    WHERE minute = old.received_at / 60 AND looked = old.looked AND state = old.state;
    INSERT INTO arrivals (minute, looked, state, uploads) VALUES (new.received_at / 60, new.looked, new.state, 1)
    ON CONFLICT DO UPDATE SET uploads = uploads + 1;
END;
CREATE TRIGGER pictures_forgotten AFTER DELETE ON pictures BEGIN
    UPDATE arrivals SET uploads = uploads - 1
    WHERE minute = old.received_at / 60 AND looked = old.looked AND state = old.state;
    DELETE FROM arrivals WHERE minute = old.received_at / 60 AND uploads = 0;
END;

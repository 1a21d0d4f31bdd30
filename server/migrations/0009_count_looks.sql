-- What an upload cost: the day's uploads are those that somebody looked at.

-- 1 once the models, or somebody who is paid, saw this picture; copies of what is known and broken files are not looked at.
ALTER TABLE pictures ADD COLUMN looked INTEGER NOT NULL DEFAULT 0;
-- What is decided under rules was looked at, save copies, of which nobody knows any more.
UPDATE pictures SET looked = 1 WHERE rules IS NOT NULL;

-- How many came today, and what became of them, without reading a row.
DROP INDEX pictures_received;
CREATE INDEX pictures_received ON pictures (received_at, looked, state);

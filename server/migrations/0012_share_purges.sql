-- Many deletions are purged at CloudFront together, by one path for all that end within the same hour, day or at any time.

-- Of all steps of a deletion's purge: its steps at CloudFront wait for others.
ALTER TABLE purges ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
-- The batch that does this step for it, with others; it is done when that is.
ALTER TABLE purges ADD COLUMN within TEXT;
CREATE INDEX purges_within ON purges (within) WHERE within IS NOT NULL;

-- Verdicts that hold for the same bytes again, rests between attempts, and bans.

-- Under which rules (models, thresholds, policy) the pixels were judged; another verdict may hold under others. Of a refused
-- picture `content_hash` stays for a while, so that the same bytes are refused without another look.
ALTER TABLE pictures ADD COLUMN rules BLOB;
-- What was published before is remembered under rules that nobody has.
UPDATE pictures SET rules = zeroblob(32) WHERE state = 'published';

-- An attempt that failed is followed by a rest, in which nobody holds the picture.
ALTER TABLE pictures ADD COLUMN rests_until INTEGER NOT NULL DEFAULT 0;

-- `sequence`, `expires_at` and `stored_bytes` are set when publishing begins, so that an attempt that is cut off can be
-- cleaned up.

-- The same bytes again. A query must say `content_hash <> x''` to use it.
CREATE INDEX pictures_content ON pictures (content_hash) WHERE content_hash <> x'';
-- Refusals that are still remembered.
CREATE INDEX pictures_refused ON pictures (rejected_at) WHERE state = 'rejected' AND content_hash <> x'';

-- How pictures look that an admin does not want back.
CREATE TABLE bans (
    perceptual_hash INTEGER PRIMARY KEY,
    banned_at INTEGER NOT NULL
) STRICT;

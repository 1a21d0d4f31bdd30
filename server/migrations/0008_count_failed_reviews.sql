-- How often a second opinion on a waiting picture failed in a way that may have cost something: such a picture rests ever
-- longer, so that one that Rekognition chokes on does not use up the month. 0 once it is decided.
ALTER TABLE pictures ADD COLUMN failed_reviews INTEGER NOT NULL DEFAULT 0;

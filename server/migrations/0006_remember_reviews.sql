-- How far a second opinion on a waiting picture has come, so that what was paid for is never paid twice.

-- JSON: {"came":"asked"} | {"came":"decent"} | {"came":"rejected","reason":"unsafe"} |
-- {"came":"approved","tags":[…],"alt":"…"}. NULL once the picture is decided.
ALTER TABLE pictures ADD COLUMN review TEXT;
-- The rules under which that was said.
ALTER TABLE pictures ADD COLUMN review_rules BLOB;

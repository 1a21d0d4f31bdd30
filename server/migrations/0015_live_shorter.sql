-- How many seconds a picture shall live, where its uploader asked for less than the site's retention. Once it is published, its end
-- says so.
ALTER TABLE pictures ADD COLUMN lives INTEGER;

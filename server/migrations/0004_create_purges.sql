-- What caches in front of the site are still to be told, one row per CDN and thing to forget. Rows are made in the
-- transaction that hides a picture and deleted when their step is done, so that the table is small. Times are seconds since
-- 1970.
CREATE TABLE purges (
    id INTEGER PRIMARY KEY,
    -- Random; the same for all that was asked for together. CloudFront knows each request by it.
    batch TEXT NOT NULL,
    -- Absent where a tag is purged by itself.
    picture TEXT,
    -- A step begins when no row of its batch has a smaller number.
    step INTEGER NOT NULL,
    -- cloudflare | cloudfront | site: told to forget, or looked at in the end
    target TEXT NOT NULL,
    -- `/i/{expires}/{id}/` for a picture's addresses, `/i/{expires}/{id}/*` for all below them, or `#tag`
    item TEXT NOT NULL,
    -- How often the CDNs have been told, this time included.
    round INTEGER NOT NULL,
    -- So many of the month's CloudFront paths are left for others.
    keep INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- From then on no cache has it any more, and nothing needs to be purged.
    ends_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    leased_until INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Asked for by itself, since a request that named others too was refused.
    alone INTEGER NOT NULL DEFAULT 0,
    -- The month in whose ledger its path is reserved, such as 2026-11.
    reserved TEXT,
    -- Under which the CDN tells how far it is.
    ticket TEXT,
    -- Of the look: a CDN was told before the picture's bytes were deleted, and may have fetched them again since.
    too_early INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX purges_due ON purges (target, due_at);
CREATE INDEX purges_batch ON purges (batch, step);
CREATE INDEX purges_picture ON purges (picture);
CREATE INDEX purges_ending ON purges (ends_at);

-- What the look saw in the end, kept for a month.
CREATE TABLE purge_receipts (
    picture TEXT PRIMARY KEY,
    looked_at INTEGER NOT NULL,
    -- The HTTP status of the picture's address; absent where there was no answer.
    status INTEGER,
    -- Edge locations, as the CDNs name them.
    cloudflare TEXT,
    cloudfront TEXT,
    rounds INTEGER NOT NULL
) STRICT;

CREATE INDEX purge_receipts_old ON purge_receipts (looked_at);

-- What this site spent of what costs money, one row per month (UTC) and kind.
CREATE TABLE ledger (
    -- 2026-11
    month TEXT NOT NULL,
    -- rekognition-calls | cloudfront-paths
    what TEXT NOT NULL,
    -- NULL where nobody knows, because the index is new and the site is not: counts as spent until the operator sets it.
    used INTEGER,
    -- What the month's object tells whoever finds no index: `used` passes it only after the object was written anew.
    marked INTEGER NOT NULL DEFAULT 0,
    -- The highest share in percent that was warned of: 0, 80 or 95.
    warned_percent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (month, what)
) STRICT, WITHOUT ROWID;

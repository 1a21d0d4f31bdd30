-- One row per upload, from the moment its bytes are safely on disk. Rows outlive their picture as tombstones, so that
-- an id is never reused and a link to a dead picture can say so. Times are seconds since 1970.
CREATE TABLE pictures (
    id TEXT PRIMARY KEY,
    -- screening | published | rejected | expired | removed
    state TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    delete_token_hash BLOB NOT NULL,
    -- SHA-256 and length of the uploaded bytes. Empty, as the token's hash, once the picture is over.
    content_hash BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    -- A worker that died leaves its lease to run out; then another takes the picture.
    leased_until INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Set when rejected.
    rejected_at INTEGER,
    reason TEXT,
    -- Set when published. `sequence` grows with every publication: lists and cursors go by it.
    sequence INTEGER UNIQUE,
    published_at INTEGER,
    expires_at INTEGER,
    width INTEGER,
    height INTEGER,
    animated INTEGER,
    alt TEXT,
    -- JSON: [{"name":"tabby cat","confidence":0.93}]
    tags TEXT,
    -- The folded tags as one text: | tabby cat | cat |
    tags_text TEXT,
    thumbhash BLOB,
    placeholder TEXT,
    perceptual_hash INTEGER,
    -- JSON: ["exif","gps"]
    stripped TEXT,
    -- JSON: [{"name":"640.webp","width":640,"height":480,"size_bytes":1,"hash":"…"}]
    variants TEXT,
    -- The sum of the variants' sizes while they are stored; 0 before and after.
    stored_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The gallery, and what ends next.
CREATE INDEX pictures_published ON pictures (sequence) WHERE state = 'published';
CREATE INDEX pictures_expiring ON pictures (expires_at) WHERE state = 'published';
CREATE INDEX pictures_unburied ON pictures (expires_at) WHERE state = 'removed' AND delete_token_hash <> x'';
-- The workers' queue, oldest first.
CREATE INDEX pictures_waiting ON pictures (received_at) WHERE state = 'screening';
-- What is stored altogether.
CREATE INDEX pictures_stored ON pictures (stored_bytes) WHERE stored_bytes > 0;
-- How many came today.
CREATE INDEX pictures_received ON pictures (received_at);

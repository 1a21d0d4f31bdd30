-- The keys by which clients repeat uploads whose answers they lost. Each is kept for a day.
CREATE TABLE upload_keys (
    -- SHA-256 of the client's network and its key, which are kept nowhere.
    name BLOB PRIMARY KEY,
    picture_id TEXT NOT NULL,
    -- Together with the key, the delete token is made from this.
    salt BLOB NOT NULL,
    -- SHA-256 of the uploaded bytes. It stays here when the picture's own is emptied.
    content_hash BLOB NOT NULL,
    received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX upload_keys_received ON upload_keys (received_at);

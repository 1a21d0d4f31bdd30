-- What is over is forgotten some while after it ended: found here by when that was, where nothing of it is left to delete.
CREATE INDEX pictures_buried ON pictures (coalesce(rejected_at, expires_at, received_at))
    WHERE delete_token_hash = x'' AND state IN ('expired', 'removed', 'rejected');

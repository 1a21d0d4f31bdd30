-- An upload without a verdict in time ends before its bytes are deleted, so that no worker takes it up meanwhile. Until it is
-- buried it is found as a removed picture is.
DROP INDEX pictures_unburied;
CREATE INDEX pictures_unburied ON pictures (expires_at)
    WHERE state IN ('removed', 'expired') AND delete_token_hash <> x'';

-- What the server did each month, for the status page: counted in memory, added here every minute.

CREATE TABLE traffic (
    -- By UTC: 2026-11.
    month TEXT PRIMARY KEY,
    -- Requests that reached this server, health checks aside.
    requests INTEGER NOT NULL,
    -- Of bodies.
    bytes_sent INTEGER NOT NULL,
    -- Requests to the storage that add or list, and that read.
    storage_writes INTEGER NOT NULL,
    storage_reads INTEGER NOT NULL,
    -- The second from which on the month was counted.
    counted_since INTEGER NOT NULL
) STRICT;

-- What goes on chain for a segment, for the Anchorer, which reads here what it does not keep. Segments of before were handed
-- to it with their modes.

ALTER TABLE segments ADD COLUMN mode TEXT NOT NULL DEFAULT 'root';     -- root, hash, payload
ALTER TABLE segments ADD COLUMN prove INTEGER NOT NULL DEFAULT 0;      -- 1: its anchor is kept on chain

-- What the owners of streams chose.

ALTER TABLE streams ADD COLUMN read TEXT NOT NULL DEFAULT 'public';    -- public, private
ALTER TABLE streams ADD COLUMN write TEXT NOT NULL DEFAULT 'open';     -- open, closed
ALTER TABLE streams ADD COLUMN p2p INTEGER NOT NULL DEFAULT 0;         -- 1: peers may also speak to each other directly
ALTER TABLE streams ADD COLUMN prove INTEGER NOT NULL DEFAULT 0;       -- 1: its anchors are kept on chain

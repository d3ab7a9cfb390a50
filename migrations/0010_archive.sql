-- The archive, erased messages, and how long payloads are kept.

-- One row for each pack: an object of the archive with messages whose anchors are final. The packs of a stream touch and
-- never overlap; its rows of `segments` follow them.
CREATE TABLE packs (
  stream TEXT NOT NULL,
  first INTEGER NOT NULL,         -- first seq
  next INTEGER NOT NULL,          -- the seq behind the last one
  generation INTEGER NOT NULL,    -- how often it was rewritten; part of the object's name
  bytes INTEGER NOT NULL,         -- length of the object
  tail INTEGER NOT NULL,          -- length of its index and trailer
  digest TEXT NOT NULL,           -- of its index, which has the hash of each segment's bytes
  oldest INTEGER,                 -- Unix milliseconds of the oldest message whose payload is there; null without any
  newest INTEGER NOT NULL,        -- Unix milliseconds of the newest message
  PRIMARY KEY (stream, first)
) WITHOUT ROWID;

-- Messages that were erased and whose payload a pack still has. Nobody is given it; the row goes when the pack is
-- rewritten.
CREATE TABLE erasures (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  UNIQUE (stream, seq)
);

ALTER TABLE streams ADD COLUMN retention INTEGER NOT NULL DEFAULT 0;   -- days that payloads are kept; 0: for ever
ALTER TABLE streams ADD COLUMN stripped INTEGER NOT NULL DEFAULT 0;    -- no row of segments below this seq has a payload
CREATE INDEX streams_by_retention ON streams (id) WHERE retention > 0;

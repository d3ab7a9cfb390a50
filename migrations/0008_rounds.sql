-- Rounds: one anchor over the runs of all streams that have something new. A round's transaction, block and state are the
-- row of `anchors` of the stream `_rounds` that begins at the round's number. Hashes and ids are 0x and lower-case hex;
-- times are Unix milliseconds.

-- One row per round. It is written before the round's transaction is signed and never changes.
CREATE TABLE rounds (
  round INTEGER PRIMARY KEY,
  root TEXT NOT NULL,             -- over the leaves of the 256 buckets
  runs INTEGER NOT NULL,          -- how many runs are in it
  buckets BLOB NOT NULL,          -- 256 times: how many runs (4 bytes, big-endian), root over them (32 bytes)
  fixed INTEGER NOT NULL          -- when
);

-- The runs of a round, in the order of stream ids, by the batcher that has them.
CREATE TABLE round_lists (
  round INTEGER NOT NULL,
  first_bucket INTEGER NOT NULL,  -- the first of the batcher's buckets
  entries BLOB NOT NULL,          -- 108 bytes for each run: stream 32, first 8, count 4, root 32, previous 32
  PRIMARY KEY (round, first_bucket)
) WITHOUT ROWID;

-- One row per run of a stream that is in a round. The runs of a stream touch and never overlap.
CREATE TABLE runs (
  stream TEXT NOT NULL,
  first INTEGER NOT NULL,         -- first seq
  count INTEGER NOT NULL,         -- how many messages
  root TEXT NOT NULL,             -- over the roots of its segments
  previous TEXT NOT NULL,         -- the leaf of the stream's run before it, zero for the first
  round INTEGER NOT NULL,
  PRIMARY KEY (stream, first)
) WITHOUT ROWID;

-- The Merkle mountain range over the rounds' leaves: node `idx` of a height, counted from the left.
CREATE TABLE range_nodes (
  height INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (height, idx)
) WITHOUT ROWID;

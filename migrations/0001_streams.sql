-- Streams and their stored messages.
-- Hashes, ids and addresses are 0x and lower-case hex; times are Unix milliseconds.

CREATE TABLE streams (
  id TEXT PRIMARY KEY,            -- keccak256(abi.encode(owner, keccak256(name)))
  short TEXT NOT NULL UNIQUE,     -- its first 20 bytes
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  mode TEXT NOT NULL,             -- root, hash, payload
  created INTEGER NOT NULL
);

-- One row per segment: a run of messages stored together. The runs of a stream touch and never overlap.
CREATE TABLE segments (
  stream TEXT NOT NULL,
  first INTEGER NOT NULL,         -- first seq
  count INTEGER NOT NULL,         -- how many messages
  root TEXT NOT NULL,             -- Merkle root over their leaves
  bytes INTEGER NOT NULL,         -- length of records
  records BLOB NOT NULL,          -- CBOR sequence of [time, author, producer, producer_seq, payload]
  PRIMARY KEY (stream, first)
) WITHOUT ROWID;

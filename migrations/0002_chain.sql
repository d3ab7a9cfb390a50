-- What the contract's events say, as the Listener saw them. Rows of a block that a reorganisation took back are
-- deleted. Hashes, ids and addresses are 0x and lower-case hex.

-- Merkle roots over runs of messages. On the chain a stream's runs touch and never overlap.
CREATE TABLE anchors (
  stream TEXT NOT NULL,
  first INTEGER NOT NULL,         -- first seq
  count INTEGER NOT NULL,         -- how many messages
  root TEXT NOT NULL,
  tx TEXT NOT NULL,
  block INTEGER NOT NULL,
  block_hash TEXT NOT NULL,
  log_index INTEGER NOT NULL,     -- among all logs of the block
  state TEXT NOT NULL,            -- anchored, final
  PRIMARY KEY (stream, first, block_hash, log_index)
) WITHOUT ROWID;

-- Payloads that somebody published on the chain.
CREATE TABLE chain_events (
  stream TEXT NOT NULL,
  block INTEGER NOT NULL,
  log_index INTEGER NOT NULL,
  block_hash TEXT NOT NULL,
  tx TEXT NOT NULL,
  author TEXT NOT NULL,
  payload BLOB NOT NULL,
  state TEXT NOT NULL,            -- anchored, final
  PRIMARY KEY (stream, block, log_index, block_hash)
) WITHOUT ROWID;

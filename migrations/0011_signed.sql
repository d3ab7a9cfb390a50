-- Signed messages: what streams require, and who vouches for the keys that sign.

ALTER TABLE streams ADD COLUMN signed TEXT NOT NULL DEFAULT 'optional';   -- optional, required

-- One row for each span of time in which a key signs for an author. Rows stay: receipts of messages need them.
CREATE TABLE certificates (
  id INTEGER PRIMARY KEY,
  author TEXT NOT NULL,
  key TEXT NOT NULL,              -- compressed P-256 point, 0x and 66 digits
  kind TEXT NOT NULL,             -- wallet, service
  account TEXT NOT NULL,          -- a wallet's is its author, a service's that which made its API key
  message TEXT NOT NULL,          -- of a wallet: the sign-in (EIP-4361)
  signature TEXT NOT NULL,        -- of a wallet: over the message
  chain_id INTEGER,               -- of a wallet: the sign-in's chain
  issued INTEGER NOT NULL,        -- Unix seconds; from when on it counts
  expires INTEGER,                -- Unix seconds; null for never
  revoked INTEGER,                -- Unix seconds
  added INTEGER NOT NULL,         -- Unix seconds; when the edge took it
  UNIQUE (author, key, issued)
);
CREATE INDEX certificates_by_time ON certificates (author, added);

-- Streams that match a pattern: found by owner and beginning of the name, and for members of private streams by account.
CREATE INDEX streams_by_name ON streams (owner, name);

CREATE TABLE readers (
  account TEXT NOT NULL,
  stream TEXT NOT NULL,           -- short id
  PRIMARY KEY (account, stream)
) WITHOUT ROWID;

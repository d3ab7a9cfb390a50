-- Webhooks, as far as they are counted for the accounts that made them. All else is in the objects of their streams.
CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  stream TEXT NOT NULL,           -- short id
  created INTEGER NOT NULL        -- Unix milliseconds
) WITHOUT ROWID;

CREATE INDEX webhooks_by_account ON webhooks (account);

-- The audit log's index: what GET /v1/audit searches. Derived: the truth is the stream _audit.

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,        -- the entry's number, in the order in which they were made
  seq INTEGER,                   -- its place in the stream _audit, once that is known
  time INTEGER NOT NULL,         -- Unix milliseconds
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  outcome TEXT NOT NULL,         -- done, refused, failed
  entry TEXT NOT NULL            -- canonical JSON, the message's payload
);
CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_action ON audit (action, id);

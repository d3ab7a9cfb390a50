-- Payloads above the limits of the protocol are left out: their size in bytes and their keccak256 hash, with a space between.
-- Empty where the payload is here.
ALTER TABLE chain_events ADD COLUMN omitted TEXT NOT NULL DEFAULT '';

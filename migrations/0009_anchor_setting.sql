-- How a stream's messages get their anchors: shared (in rounds) or own. Streams and segments of before have their own.

ALTER TABLE streams ADD COLUMN anchor TEXT NOT NULL DEFAULT 'own';
-- What the stream's setting was when the segment was made: the Anchorer reads its own ones alone.
ALTER TABLE segments ADD COLUMN anchor TEXT NOT NULL DEFAULT 'own';

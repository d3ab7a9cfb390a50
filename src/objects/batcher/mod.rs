//! The Batcher objects: one for each group of buckets.

mod object;

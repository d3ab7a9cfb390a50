//! Small things without knowledge of streams: JSON, CBOR, a sorted map, back-off, the rate limit's algorithm.

mod backoff;
pub mod cbor;
mod gcra;
pub mod json;
mod sorted_map;

pub use backoff::{Backoff, BackoffBounds};
pub use gcra::{Bucket, Exceeded, Meter, Passed, Quota};
pub use sorted_map::SortedMap;

//! Small things without knowledge of streams: JSON, a sorted map, the rate limit's algorithm.

mod gcra;
pub mod json;
mod sorted_map;

pub use gcra::{Bucket, Exceeded, Meter, Passed, Quota};
pub use sorted_map::SortedMap;

//! Small things without knowledge of streams: JSON, CBOR, Merkle trees, a sorted map, back-off, the rate limit's algorithm, the key of shares per network.

mod backoff;
pub mod cbor;
mod gcra;
pub mod json;
pub mod merkle;
mod network;
mod sorted_map;
mod split_mix;

pub use backoff::{Backoff, BackoffBounds};
pub use gcra::{Bucket, Exceeded, Meter, Passed, Quota};
pub use network::Network;
pub use sorted_map::SortedMap;
pub use split_mix::SplitMix64;

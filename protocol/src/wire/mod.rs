//! What goes over a wire between our parts: frames of the data channel, batches and notices between relay and edge.

mod batch;
mod bundle;
pub mod frame;
mod link_reach;
mod location;
mod mesh;
mod notice;
mod presence;
mod relay_api;

pub use crate::omitted::Omitted;
pub use crate::record::{ProducerKey, Record, decode_records, encode_records};
pub use crate::stored_record::{
    StoredPayload, StoredRecord, decode_stored_records, encode_stored_records, erase_payloads, first_time,
};
pub use crate::util::cbor;
pub use batch::Batch;
pub use bundle::{Bundle, BundleAnswer};
pub use link_reach::LinkReach;
pub use location::{Location, LocationError};
pub use mesh::{Acquired, FollowGrant, shard_of, shard_of_session};
pub use notice::{Notice, NoticeEvent, RunInRound};
pub use presence::{Presence, PresenceError};
pub use relay_api::{
    AcquireEpoch, Committed, EpochGrant, KeyState, ProducerState, Registration, RegistrationError,
    RelayStatus, Renewed, Shard, Withdrawal, problem,
};

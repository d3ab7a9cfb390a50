//! What each kind of object is asked and answers, one file for each, and the call that both ends use.
//!
//! The Worker and the objects import these files, never another object's shell; so objects may ask each other.

pub(crate) mod account;
pub(crate) mod anchorer;
pub(crate) mod archiver;
pub(crate) mod audit;
pub(crate) mod batcher;
pub(crate) mod by_method;
pub(crate) mod call;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod presence;
pub(crate) mod relays;
pub(crate) mod side_by_side;
pub(crate) mod stream;
pub(crate) mod watching;
pub(crate) mod webhooks;

//! The commands beside `run`, a file each: what they take, and what they do.

pub(crate) mod key;
pub(crate) mod rebuild;
pub(crate) mod verify;
pub(crate) mod verify_stream;

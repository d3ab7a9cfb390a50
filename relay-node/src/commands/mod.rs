//! The commands beside `run`, a file each: what they take, and what they do.

pub(crate) mod authors;
pub(crate) mod health;
pub(crate) mod key;
mod node_answer;
pub(crate) mod rebuild;
mod trust;
pub(crate) mod verify;
pub(crate) mod verify_stream;

pub(crate) use trust::TRUST_HELP;

//! Keys that sign what is published, and the files that keep them and the chains of groups.
//!
//! What always holds: a private key leaves its file for this process alone, and only its owner may read the file; what was signed
//! is kept before it is sent, where it is kept at all.

mod chain_file;
mod key;

pub use chain_file::ChainFile;
pub use key::{SigningKey, verify};

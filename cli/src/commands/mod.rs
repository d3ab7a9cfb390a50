//! The commands that ask an edge, a file each: what they take, and what they do.

pub(crate) mod bench;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod publish;
pub(crate) mod receipt;
pub(crate) mod status;
pub(crate) mod subscribe;
pub(crate) mod tail;

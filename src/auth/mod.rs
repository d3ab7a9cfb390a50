//! Who a request is by, and what they may do.

pub(crate) mod bearer;
pub(crate) mod principal;
pub(crate) mod sign_in;

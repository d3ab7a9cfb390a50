//! Who a request is by, and what they may do.

pub mod bearer;
pub mod principal;
pub mod sign_in;

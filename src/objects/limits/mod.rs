//! The Limits objects: each counts for a share of the clients.

mod object;

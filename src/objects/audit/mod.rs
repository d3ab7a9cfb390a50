//! The Audit object: one for each operator.

mod object;

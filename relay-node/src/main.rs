//! `relay-node`: see `relay-node --help`.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    relay_node::run()
}

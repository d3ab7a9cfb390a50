//! `relay-node`: see `relay-node --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    relay_node::run()
}

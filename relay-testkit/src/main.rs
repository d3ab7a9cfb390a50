//! `relay-testkit`: measures one relay on this machine; see `relay-testkit --help`.

use anyhow::Result;
use clap::Parser;
use relay_testkit::bench::{self, BenchArgs};

/// Measures the relay on this machine.
#[derive(Debug, Parser)]
#[command(name = "relay-testkit", version)]
enum Command {
    /// Measure one relay on this machine and print the results as JSON
    Bench(BenchArgs),
}

fn main() -> Result<()> {
    let Command::Bench(args) = Command::parse();
    bench::run(&args)
}

//! `relay-node bench`
use crate::cli::BenchArgs;
/// x
pub fn run(_args: &BenchArgs) -> anyhow::Result<()> {
    Ok(())
}

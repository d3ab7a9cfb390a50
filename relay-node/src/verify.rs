//! `relay-node verify`
use crate::cli::VerifyArgs;
/// x
pub fn run(_args: &VerifyArgs) -> u8 {
    2
}

//! `relay-node key`: prints a relay's key.

use anyhow::Result;
use clap::Args;
use streamchain_protocol::auth::MasterSecret;
use streamchain_protocol::ids::RelayId;

/// `relay-node key`
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The edge's MASTER_SECRET, 64 hexadecimal digits
    #[arg(long, env = "MASTER_SECRET", hide_env_values = true)]
    pub master: String,
    /// The relay's id, as in `relay-node run --id`
    #[arg(long)]
    pub id: RelayId,
}

/// Derives the key from the edge's master secret, and prints it.
pub(crate) fn run(args: &KeyArgs) -> Result<()> {
    let key = MasterSecret::from_hex(&args.master)?.relay_key(&args.id);
    println!("{}", key.to_hex());
    Ok(())
}

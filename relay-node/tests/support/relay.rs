//! The relay's machine, as the tests configure it.

use super::{MEMORY, keys};
use relay_node::{Rates, SessionConfig, Shard, ShardConfig};
use std::sync::Arc;
use std::time::Duration;
use str0m::config::{CryptoProvider, DtlsCert};

/// One of a relay's shards. `follows` says whether the relay asks who leads when it leads no more.
pub fn shard(
    (index, shards): (usize, usize),
    certificate: &DtlsCert,
    crypto: &Arc<CryptoProvider>,
    rates: Rates,
    follows: bool,
) -> Shard {
    Shard::new(ShardConfig {
        keys: keys(),
        session: SessionConfig {
            certificate: certificate.clone(),
            crypto: crypto.clone(),
        },
        index,
        shards,
        follows,
        commit_interval: Duration::from_millis(50),
        seed: 7,
        memory: MEMORY,
        rates,
    })
}

//! The relay's machine, as the tests configure it.

use super::{MEMORY, keys};
use relay_node::{Rates, SessionConfig, Shard, ShardConfig};
use std::sync::Arc;
use std::time::Duration;
use str0m::config::{CryptoProvider, DtlsCert};

pub fn shard(certificate: &DtlsCert, crypto: &Arc<CryptoProvider>, rates: Rates) -> Shard {
    Shard::new(ShardConfig {
        keys: keys(),
        session: SessionConfig {
            certificate: certificate.clone(),
            crypto: crypto.clone(),
        },
        index: 0,
        shards: 1,
        commit_interval: Duration::from_millis(50),
        seed: 7,
        memory: MEMORY,
        rates,
    })
}

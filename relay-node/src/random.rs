//! Random values from the operating system.

use anyhow::{Context, Result};

/// Unpredictable bytes, for keys and nonces.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the operating system gives no random bytes")?;
    Ok(bytes)
}

/// A value for jitter and request ids, where one that is not random does no harm.
pub(crate) fn random_seed() -> u64 {
    getrandom::u64().unwrap_or_default()
}

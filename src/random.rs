//! Random bytes, from the platform's own source.

use crate::problem::Problem;

/// `N` random bytes, fit for keys and ids.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal(format!("no randomness: {error}")))?;
    Ok(bytes)
}

//! What does not change while the machine runs.

use alloy_primitives::Address;

use super::gas_owners::GasOwners;
use crate::ethereum::FeePolicy;
use crate::rounds;

/// The settings of the machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The chain's id, which goes into every signature.
    pub chain_id: u64,
    /// The address of the StreamChain contract.
    pub contract: Address,
    /// The least time between transactions, in ms: segments that arrive meanwhile share one. While there is more than one
    /// transaction takes, the next one follows at once.
    pub interval_ms: u64,
    /// The pause between passes, in ms, where that is shorter: how often a receipt is asked for, about a third of a block.
    pub poll_ms: u64,
    /// The bounds for fees.
    pub fees: FeePolicy,
    /// A transaction that is in no block after so many ms gets a higher fee.
    pub bump_after_ms: u64,
    /// The same bytes are sent again after so many ms, in case the pool dropped them.
    pub resend_after_ms: u64,
    /// After so many ms the machine looks again for what others have to do on chain: open a stream, hand it back, or
    /// send the account money.
    pub retry_after_ms: u64,
    /// The gas that the account's transactions may use in a UTC day; `None` means no bound.
    pub daily_gas: Option<u64>,
    /// The owners whose streams may have more than roots on chain; the account's own always may.
    pub gas_owners: GasOwners,
    /// The finalized state is read again for a stream that is not final after so many ms. This repairs the loss
    /// of an event.
    pub recheck_after_ms: u64,
    /// So many blocks behind the newest one the chain counts as final; `None` where it names its finalized block.
    pub finality_depth: Option<u64>,
    /// How rounds are made; `None` where they are not.
    pub rounds: Option<rounds::Settings>,
}

//! Ethereum without a network: JSON-RPC as values, which endpoint to ask, fees, signed transactions and the
//! signatures that wallets make.

pub mod eip191;
pub mod eip6492;
mod endpoints;
mod fees;
pub mod p256;
mod rpc;
mod tx;
mod url;

pub use endpoints::{Choice, Endpoints};
pub use fees::{FeeError, FeePolicy, Fees, WEI_PER_GWEI, bump_fees, estimate_fees, parse_gwei};
pub use rpc::{ASKED_BY, Answer, Block, BlockId, FeeHistory, Log, LogBlocks, Receipt, Request, RpcError};
pub use tx::{BadKey, Signed, Signer, Transaction};
pub use url::NodeUrl;

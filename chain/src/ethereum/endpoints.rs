//! Several URLs of one chain, and which of them to ask next.
//!
//! What always holds: no answer of a node is used before that node has named the configured chain; a node that
//! failed is left alone for a while, unless all are, and then the one that is due first is asked.

use super::rpc::{Answer, Request, RpcError};
use streamchain_protocol::time::UnixMs;

/// How long a node is left alone after a failure, in ms: long enough not to spend every round's first time-out on
/// a dead node, short enough that the preferred one is soon used again.
const REST_MS: u64 = 30_000;
/// How long a node that is on another chain is left alone, in ms: the operator has to change the configuration.
const WRONG_CHAIN_REST_MS: u64 = 300_000;
/// How long a node's answer about its chain is valid, in ms.
const CHAIN_CHECK_MS: u64 = 600_000;

#[derive(Clone, Debug, Default)]
struct Endpoint {
    rests_until: UnixMs,
    checked_until: UnixMs,
}

/// The URLs of a chain, in order of preference, by their index.
#[derive(Clone, Debug)]
pub struct Endpoints {
    chain_id: u64,
    endpoints: Vec<Endpoint>,
}

/// Which node to ask, and whether to ask for its chain first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The index of the URL.
    pub index: usize,
    /// `eth_chainId` has to be asked first; its outcome goes to [`Endpoints::handle_chain_id`].
    pub check_chain: bool,
}

impl Endpoints {
    /// Makes the list of `count` URLs (at least one) that should be on chain `chain_id`.
    pub fn new(chain_id: u64, count: usize) -> Self {
        Self {
            chain_id,
            endpoints: vec![Endpoint::default(); count.max(1)],
        }
    }

    /// Chooses the node to ask now.
    pub fn choose(&self, now: UnixMs) -> Choice {
        let awake = self
            .endpoints
            .iter()
            .enumerate()
            .find(|(_, endpoint)| endpoint.rests_until <= now);
        let due = || {
            let endpoints = self.endpoints.iter().enumerate();
            endpoints.min_by_key(|(_, endpoint)| endpoint.rests_until)
        };
        let chosen = awake.or_else(due);
        Choice {
            index: chosen.map_or(0, |(index, _)| index),
            check_chain: chosen.is_none_or(|(_, endpoint)| endpoint.checked_until <= now),
        }
    }

    /// Takes in what a node said of its chain. After an error the node must not be used: choose again.
    pub fn handle_chain_id(
        &mut self,
        index: usize,
        outcome: Result<Answer, RpcError>,
        now: UnixMs,
    ) -> Result<(), RpcError> {
        let found = match outcome {
            Ok(Answer::ChainId(found)) => found,
            Ok(_) => {
                return Err(RpcError::Malformed(format!(
                    "{}: the answer belongs to another question",
                    Request::ChainId.method()
                )));
            }
            Err(error) => {
                self.handle_failure(index, now);
                return Err(error);
            }
        };
        let expected = self.chain_id;
        let Some(endpoint) = self.endpoints.get_mut(index) else {
            return Ok(());
        };
        if found != expected {
            endpoint.rests_until = now.plus_ms(WRONG_CHAIN_REST_MS);
            return Err(RpcError::WrongChain { expected, found });
        }
        endpoint.checked_until = now.plus_ms(CHAIN_CHECK_MS);
        Ok(())
    }

    /// A node failed, or gave an answer that cannot be true: it is left alone, and has to name its chain again.
    pub fn handle_failure(&mut self, index: usize, now: UnixMs) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            *endpoint = Endpoint {
                rests_until: now.plus_ms(REST_MS),
                checked_until: UnixMs(0),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Endpoints {
        Endpoints::new(31337, 2)
    }

    #[test]
    fn a_node_has_to_name_its_chain_first_and_not_again_soon() {
        let mut endpoints = two();
        assert_eq!(
            endpoints.choose(UnixMs(0)),
            Choice {
                index: 0,
                check_chain: true
            }
        );
        assert_eq!(
            endpoints.handle_chain_id(0, Ok(Answer::ChainId(31337)), UnixMs(0)),
            Ok(())
        );
        assert_eq!(
            endpoints.choose(UnixMs(1_000)),
            Choice {
                index: 0,
                check_chain: false
            }
        );
        assert!(endpoints.choose(UnixMs(CHAIN_CHECK_MS)).check_chain);
    }

    #[test]
    fn a_node_on_another_chain_is_passed_over() {
        let mut endpoints = two();
        let refused = endpoints.handle_chain_id(0, Ok(Answer::ChainId(1)), UnixMs(0));
        assert_eq!(
            refused,
            Err(RpcError::WrongChain {
                expected: 31337,
                found: 1
            })
        );
        assert_eq!(endpoints.choose(UnixMs(REST_MS + 1)).index, 1);
    }

    #[test]
    fn after_a_failure_the_next_node_serves_for_a_while() {
        let mut endpoints = two();
        endpoints.handle_failure(0, UnixMs(0));
        assert_eq!(endpoints.choose(UnixMs(1)).index, 1);
        assert_eq!(
            endpoints.choose(UnixMs(REST_MS)),
            Choice {
                index: 0,
                check_chain: true
            }
        );
    }

    #[test]
    fn when_all_failed_the_one_that_is_due_first_is_asked() {
        let mut endpoints = two();
        endpoints.handle_failure(0, UnixMs(0));
        endpoints.handle_failure(1, UnixMs(10));
        assert_eq!(endpoints.choose(UnixMs(20)).index, 0);
    }
}

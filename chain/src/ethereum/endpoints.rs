//! Several URLs of one chain, and which of them to ask next.
//!
//! What always holds:
//! - no answer of a node is used before that node has named the configured chain;
//! - a node that failed is left alone for a while, for the kind of question at which it failed or for all; unless all are,
//!   and then the one that is due first is asked;
//! - the blocks at both ends of a range of logs are confirmed by the node that gave the logs: another one may know blocks
//!   that this one does not have yet;
//! - a node that says that it is asked too often is not asked again before its pause is over, whatever happens.

use super::rpc::{Answer, BlockId, LogBlocks, Request, RpcError};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::{Backoff, SortedMap};

/// How long a node is left alone after a failure, in ms: long enough not to spend every round's first time-out on
/// a dead node, short enough that the preferred one is soon used again.
const REST_MS: u64 = 30_000;
/// How long a node is left alone at most for one kind of question that it keeps failing at, in ms: a node may learn a
/// method with its next version.
const MAX_KIND_REST_MS: u64 = 600_000;
/// The first pause after a rate limit, in ms: most providers count by the second.
const FIRST_LIMIT_MS: u64 = 1_000;
/// The longest pause after a rate limit, in ms: a quota by the minute is renewed by then.
const MAX_LIMIT_MS: u64 = 60_000;
/// How long a node that is on another chain is left alone, in ms: the operator has to change the configuration.
const WRONG_CHAIN_REST_MS: u64 = 300_000;
/// How long a node's answer about its chain is valid, in ms.
const CHAIN_CHECK_MS: u64 = 600_000;

/// A pause, and how it grows when the failure comes again.
#[derive(Clone, Debug)]
struct Rest {
    until: UnixMs,
    backoff: Backoff,
}

impl Rest {
    fn growing(first_ms: u64, max_ms: u64) -> Self {
        Self {
            until: UnixMs(0),
            backoff: Backoff::new(first_ms, max_ms),
        }
    }

    fn fail(&mut self, now: UnixMs) {
        self.until = now.plus_ms(self.backoff.fail());
    }
}

#[derive(Clone, Debug)]
struct Endpoint {
    rests_until: UnixMs,
    checked_until: UnixMs,
    limit: Rest,
    /// By kind of question; there are as many as kinds.
    kinds: SortedMap<&'static str, Rest>,
}

impl Endpoint {
    fn new() -> Self {
        Self {
            rests_until: UnixMs(0),
            checked_until: UnixMs(0),
            limit: Rest::growing(FIRST_LIMIT_MS, MAX_LIMIT_MS),
            kinds: SortedMap::default(),
        }
    }

    fn is_limited(&self, now: UnixMs) -> bool {
        self.limit.until > now
    }

    /// Until when it is left alone for this kind of question.
    fn due(&self, kind: &'static str) -> UnixMs {
        let kind = self.kinds.get(&kind).map_or(UnixMs(0), |rest| rest.until);
        self.rests_until.max(kind)
    }
}

/// The URLs of a chain, in order of preference, by their index.
#[derive(Clone, Debug)]
pub struct Endpoints {
    chain_id: u64,
    endpoints: Vec<Endpoint>,
    /// The node that answered the last log query over a range, until the head is asked for again.
    ranged: Option<usize>,
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
            endpoints: vec![Endpoint::new(); count.max(1)],
            ranged: None,
        }
    }

    /// Chooses the node to ask now, of those that this question was not put to yet. `None` when there is none left, or
    /// the others are left alone.
    pub fn choose(&self, request: &Request, asked: &[usize], now: UnixMs) -> Option<Choice> {
        let kind = request.kind();
        let open = self.endpoints.iter().enumerate();
        let mut open = open.filter(|(index, endpoint)| !asked.contains(index) && !endpoint.is_limited(now));
        let awake = open.clone().find(|(_, endpoint)| endpoint.due(kind) <= now);
        let same = self
            .ranged
            .filter(|_| matches!(request, Request::Block(BlockId::Number(_))));
        let same = same.and_then(|same| open.clone().find(|(index, _)| *index == same));
        let chosen = same.or(awake).or_else(|| {
            // One that only fails at this kind of question says so quickly; one that is dead costs a time-out.
            let worth = |endpoint: &Endpoint| asked.is_empty() || endpoint.rests_until <= now;
            let due = open.by_ref().filter(|(_, endpoint)| worth(endpoint));
            due.min_by_key(|(_, endpoint)| endpoint.due(kind))
        });
        chosen.map(|(index, endpoint)| Choice {
            index,
            check_chain: endpoint.checked_until <= now,
        })
    }

    /// Why no node can be asked now, where that is only because all of them are asked too often.
    pub fn all_limited(&self, now: UnixMs) -> Option<RpcError> {
        let waits = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.limit.until.since(now));
        waits.min().filter(|wait| *wait > 0).map(RpcError::AllLimited)
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
                match error.is_rate_limited() {
                    true => self.limit(index, now),
                    false => self.handle_failure(index, now),
                }
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

    /// Takes in how a node did; returns whether that is the answer, so that no other node has to be asked.
    pub fn handle_outcome(
        &mut self,
        index: usize,
        request: &Request,
        outcome: &Result<Answer, RpcError>,
        now: UnixMs,
    ) -> bool {
        let kind = request.kind();
        match outcome {
            Err(error) if request.is_answered_by(error) => true,
            Err(error) if error.is_rate_limited() => {
                self.limit(index, now);
                false
            }
            Err(error) if error.is_of_whole_node() => {
                self.handle_failure(index, now);
                false
            }
            Ok(answer) if !request.is_left_open_by(answer) => {
                match request {
                    Request::Logs {
                        blocks: LogBlocks::Range(..),
                        ..
                    } => self.ranged = Some(index),
                    Request::Block(BlockId::Latest) => self.ranged = None,
                    _ => {}
                }
                if let Some(endpoint) = self.endpoints.get_mut(index) {
                    endpoint.kinds.remove(&kind);
                    endpoint.limit.backoff.succeed();
                }
                true
            }
            _ => {
                if let Some(endpoint) = self.endpoints.get_mut(index) {
                    let mut rest = endpoint.kinds.get(&kind).cloned();
                    let rest = rest.get_or_insert_with(|| Rest::growing(REST_MS, MAX_KIND_REST_MS));
                    rest.fail(now);
                    endpoint.kinds.insert(kind, rest.clone());
                }
                false
            }
        }
    }

    /// A node failed, or gave an answer that cannot be true: it is left alone, and has to name its chain again.
    pub fn handle_failure(&mut self, index: usize, now: UnixMs) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.rests_until = now.plus_ms(REST_MS);
            endpoint.checked_until = UnixMs(0);
        }
    }

    fn limit(&mut self, index: usize, now: UnixMs) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.limit.fail(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Request = Request::Block(BlockId::Latest);

    fn choose(endpoints: &Endpoints, now: u64) -> Choice {
        endpoints.choose(&HEAD, &[], UnixMs(now)).unwrap()
    }

    fn refused(code: i64, message: &str) -> Result<Answer, RpcError> {
        Err(RpcError::Node {
            code,
            message: message.into(),
            revert: None,
        })
    }

    fn two() -> Endpoints {
        Endpoints::new(31337, 2)
    }

    #[test]
    fn a_node_has_to_name_its_chain_first_and_not_again_soon() {
        let mut endpoints = two();
        assert_eq!(
            choose(&endpoints, 0),
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
            choose(&endpoints, 1_000),
            Choice {
                index: 0,
                check_chain: false
            }
        );
        assert!(choose(&endpoints, CHAIN_CHECK_MS).check_chain);
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
        assert_eq!(choose(&endpoints, REST_MS + 1).index, 1);
    }

    #[test]
    fn after_a_failure_the_next_node_serves_for_a_while() {
        let mut endpoints = two();
        endpoints.handle_failure(0, UnixMs(0));
        assert_eq!(choose(&endpoints, 1).index, 1);
        assert_eq!(
            choose(&endpoints, REST_MS),
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
        assert_eq!(choose(&endpoints, 20).index, 0);
    }

    #[test]
    fn a_method_that_fails_at_one_node_is_asked_of_the_next_and_the_others_are_not() {
        let mut endpoints = two();
        let finalized = Request::Block(BlockId::Finalized);
        let failed = refused(-39_001, "Unknown block");
        assert!(!endpoints.handle_outcome(0, &finalized, &failed, UnixMs(0)));
        assert_eq!(endpoints.choose(&finalized, &[], UnixMs(1)).unwrap().index, 1);
        assert_eq!(choose(&endpoints, 1).index, 0);
        assert_eq!(endpoints.choose(&finalized, &[0], UnixMs(1)).unwrap().index, 1);
        assert_eq!(endpoints.choose(&finalized, &[0, 1], UnixMs(1)), None);
    }

    #[test]
    fn a_range_of_logs_is_confirmed_by_the_node_that_gave_it() {
        let mut endpoints = two();
        let logs = Request::Logs {
            address: Default::default(),
            topics: Vec::new(),
            streams: Vec::new(),
            blocks: LogBlocks::Range(1, 9),
        };
        let header = Request::Block(BlockId::Number(9));
        endpoints.handle_outcome(1, &logs, &Ok(Answer::Logs(Vec::new())), UnixMs(0));
        assert_eq!(endpoints.choose(&header, &[], UnixMs(1)).unwrap().index, 1);
        assert_eq!(endpoints.choose(&header, &[1], UnixMs(1)).unwrap().index, 0);
        assert_eq!(choose(&endpoints, 1).index, 0);
        let head = Answer::Block(None);
        endpoints.handle_outcome(0, &HEAD, &Ok(head), UnixMs(1));
        assert_eq!(
            endpoints.choose(&header, &[], UnixMs(1)).unwrap().index,
            1,
            "no head, no new round"
        );
    }

    #[test]
    fn a_method_that_fails_again_and_again_rests_longer() {
        let mut endpoints = two();
        let failed = refused(-32_601, "no such method");
        endpoints.handle_outcome(0, &HEAD, &failed, UnixMs(0));
        endpoints.handle_outcome(0, &HEAD, &failed, UnixMs(REST_MS));
        assert_eq!(choose(&endpoints, 2 * REST_MS).index, 1);
        assert_eq!(choose(&endpoints, 3 * REST_MS).index, 0);
    }

    #[test]
    fn a_rate_limit_is_never_answered_with_another_request() {
        let mut endpoints = two();
        let limited = refused(-32_012, "credits limited");
        assert!(!endpoints.handle_outcome(0, &HEAD, &limited, UnixMs(0)));
        assert_eq!(choose(&endpoints, 1).index, 1);
        assert!(!endpoints.handle_outcome(1, &HEAD, &Err(RpcError::Http(429)), UnixMs(1)));
        assert_eq!(endpoints.choose(&HEAD, &[], UnixMs(2)), None);
        assert_eq!(endpoints.all_limited(UnixMs(2)), Some(RpcError::AllLimited(998)));
        assert_eq!(choose(&endpoints, 1_000).index, 0);
        endpoints.handle_outcome(0, &HEAD, &limited, UnixMs(1_000));
        assert_eq!(choose(&endpoints, 2_000).index, 1);
        endpoints.handle_outcome(1, &HEAD, &limited, UnixMs(2_000));
        assert_eq!(
            endpoints.choose(&HEAD, &[], UnixMs(2_999)),
            None,
            "the pauses grow"
        );
    }

    #[test]
    fn a_revert_is_an_answer_and_a_dead_node_is_not_asked_in_vain() {
        let mut endpoints = two();
        let call = Request::Call {
            to: Default::default(),
            data: Default::default(),
            at: BlockId::Latest,
        };
        assert!(endpoints.handle_outcome(0, &call, &refused(3, "execution reverted"), UnixMs(0)));
        endpoints.handle_failure(1, UnixMs(0));
        assert!(!endpoints.handle_outcome(0, &call, &refused(-32_000, "missing trie node"), UnixMs(0)));
        assert_eq!(endpoints.choose(&call, &[0], UnixMs(1)), None);
    }
}

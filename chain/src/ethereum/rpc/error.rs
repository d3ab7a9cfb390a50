//! The errors of calls, and what a node's error messages mean.
//!
//! JSON-RPC has no codes for most refusals. What always holds: words only speed things up. Where they are not recognised, the
//! machines find out by asking the chain, by asking for less, and by asking another node.

use alloy_primitives::{Bytes, hex};
use serde_json::Value;

/// Characters kept of a node's error message at most: it goes into a status page.
const MAX_MESSAGE_CHARS: usize = 300;

/// The reason why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The node could not be reached, or the connection broke. The call may have been carried out.
    #[error("the node cannot be reached: {0}")]
    Transport(String),
    /// The node did not answer in time. The call may have been carried out.
    #[error("the node did not answer within {0} ms")]
    Timeout(u64),
    /// An HTTP status other than 200 without a JSON-RPC error. The call may have been carried out.
    #[error("the node answered with HTTP status {0}")]
    Http(u16),
    /// The answer is larger than the limit; asking for less helps.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what the method returns.
    #[error("the node's answer is malformed: {0}")]
    Malformed(String),
    /// The node answered with an error.
    #[error("the node refused: {message} (code {code})")]
    Node {
        /// The JSON-RPC error code.
        code: i64,
        /// The node's error message.
        message: String,
        /// The revert data, when the call reverted with data.
        revert: Option<Bytes>,
    },
    /// No node was asked: all of them said that they are asked too often, and are left alone for a while.
    #[error("every node is rate limited, the first one for another {0} ms")]
    AllLimited(u64),
    /// The node is on another chain than configured.
    #[error("the node is on chain {found}, not {expected}")]
    WrongChain {
        /// The configured chain.
        expected: u64,
        /// The node's chain.
        found: u64,
    },
}

impl RpcError {
    /// Reads the `error` member of a JSON-RPC response: an object, or with some proxies a text. What its `data` says is
    /// a part of the message: some nodes give the reason nowhere else.
    pub fn from_json(error: &Value) -> Self {
        let code = match error.get("code") {
            Some(Value::String(text)) => text.parse().ok(),
            code => code.and_then(Value::as_i64),
        };
        let message = error.get("message").unwrap_or(error).as_str();
        let mut message = message.unwrap_or("no message").to_owned();
        let revert = error.get("data").and_then(revert_data);
        let details = error.get("data").filter(|_| revert.is_none());
        if let Some(details) = details.and_then(details_text).filter(|text| *text != message) {
            message = format!("{message}: {details}");
        }
        RpcError::Node {
            code: code.unwrap_or(0),
            message: message.chars().take(MAX_MESSAGE_CHARS).collect(),
            revert,
        }
    }

    /// Whether the failure is about the node as a whole and not about one method: it is left alone for every method.
    pub(crate) fn is_of_whole_node(&self) -> bool {
        matches!(
            self,
            RpcError::Transport(_) | RpcError::Http(_) | RpcError::WrongChain { .. }
        )
    }

    /// Whether the fault may be the node's: that nothing can be said of what was asked. An error of the node itself may
    /// be about the question. A revert is the contract's answer, whatever its code and its words: the words are the
    /// contract's own, which anybody may have deployed.
    pub fn is_nodes_fault(&self) -> bool {
        match self {
            // Internal error, resource unavailable (EIP-1474), or a rate limit.
            RpcError::Node { code, .. } => {
                let is_internal = matches!(code, -32603 | -32002) && self.revert().is_none();
                is_internal || self.is_rate_limited()
            }
            RpcError::TooLarge(_) => false,
            _ => true,
        }
    }

    /// Whether the transaction is already in the node's pool, or in a block, with the same bytes: a success.
    pub(crate) fn is_already_known(&self) -> bool {
        self.says(&[
            "already known",
            "alreadyknown",
            "known transaction",
            "already imported",
            "already in mempool",
            "already exists",
            "existing tx with same hash",
        ])
    }

    /// Whether a transaction of this account with this nonce is in a block: ours or another.
    pub(crate) fn is_nonce_too_low(&self) -> bool {
        self.says(&["nonce too low", "nonce_too_low", "oldnonce", "nonce is too low"])
    }

    /// Whether another transaction with this nonce is in the pool, and this one does not offer enough more.
    pub(crate) fn is_replacement_underpriced(&self) -> bool {
        self.says(&[
            "replacement transaction underpriced",
            "replacement_underpriced",
            "replacementnotallowed",
            "replacement not allowed",
            "could not replace existing",
            "replacement fee too low",
        ])
    }

    /// Whether the fee is too low for the pool or the next block.
    pub(crate) fn is_fee_too_low(&self) -> bool {
        self.is_replacement_underpriced()
            || self.says(&[
                "underpriced",
                "feetoolow",
                "fee too low",
                "gas price too low",
                "less than block base fee",
                "lower than the current base fee",
                "below current base fee",
                "tip cap less",
            ])
    }

    /// Whether the account cannot pay for the transaction.
    pub(crate) fn is_insufficient_funds(&self) -> bool {
        self.says(&[
            "insufficient funds",
            "insufficientfunds",
            "insufficient balance",
            "insufficient maxfeepergas for sender balance",
            "enough funds",
            "upfront cost exceeds account balance",
            "exceeds_account_balance",
        ])
    }

    /// Whether the node says that it is asked too often. A rate limit in other words is found out by the back-off that
    /// follows every failure. A revert never is one: nodes put the contract's words into the message.
    pub(crate) fn is_rate_limited(&self) -> bool {
        match self {
            // No contract decides about the HTTP status, nor about this code, which stands for it.
            RpcError::Http(429) | RpcError::AllLimited(_) | RpcError::Node { code: 429, .. } => true,
            RpcError::Node { .. } if self.revert().is_some() => false,
            RpcError::Node {
                code: -32029 | -32012 | -32016,
                ..
            } => true,
            _ => self.says(&[
                "rate limit",
                "too many requests",
                "request limit",
                "request count exceeded",
                "credits limited",
                "capacity",
            ]),
        }
    }

    /// Whether it is sure that asking for less helps, so that there is no need to wait before that.
    pub(crate) fn asks_for_less(&self) -> bool {
        matches!(self, RpcError::TooLarge(_) | RpcError::Timeout(_))
            || (!self.is_rate_limited()
                && self.says(&[
                    "results",
                    "logs",
                    "block range",
                    "ranges over",
                    "the range",
                    "range limit",
                    "maximum range",
                    "max range",
                    "response size",
                    "size exceeded",
                    "limited to",
                ]))
    }

    /// The contract's error when the call would revert; empty where the node does not return it.
    pub fn revert(&self) -> Option<Bytes> {
        match self {
            RpcError::Node {
                revert: Some(data), ..
            } => Some(data.clone()),
            RpcError::Node { code: 3, .. } => Some(Bytes::new()),
            _ if self.says(&["revert"]) => Some(Bytes::new()),
            _ => None,
        }
    }

    fn says(&self, phrases: &[&str]) -> bool {
        let RpcError::Node { message, .. } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }
}

/// Reads revert data as nodes return it: hex, hex after a word, or an object that has it.
fn revert_data(data: &Value) -> Option<Bytes> {
    let text = match data {
        Value::Object(fields) => {
            return fields
                .get("data")
                .or_else(|| fields.get("result"))
                .and_then(revert_data);
        }
        Value::String(text) => text,
        _ => return None,
    };
    hex::decode(text.get(text.find("0x")?..)?).ok().map(Bytes::from)
}

/// What the `data` of an error says in words; `None` when that is nothing.
fn details_text(data: &Value) -> Option<String> {
    match data {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => match fields.get("message") {
            Some(Value::String(text)) => Some(text.clone()),
            _ => Some(data.to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(message: &str) -> RpcError {
        RpcError::from_json(&json!({ "code": -32000, "message": message }))
    }

    #[test]
    fn the_same_refusal_is_recognised_from_every_client() {
        for words in [
            "already known",
            "AlreadyKnown",
            "Known transaction",
            "transaction already imported",
        ] {
            assert!(node(words).is_already_known(), "{words}");
        }
        for words in [
            "nonce too low: next nonce 4, tx nonce 2",
            "OldNonce",
            "Nonce too low. Expected 3",
        ] {
            assert!(node(words).is_nonce_too_low(), "{words}");
        }
        for words in [
            "replacement transaction underpriced",
            "Replacement transaction underpriced. At least 9",
        ] {
            assert!(node(words).is_replacement_underpriced(), "{words}");
            assert!(node(words).is_fee_too_low(), "{words}");
        }
        for words in [
            "insufficient funds for gas * price + value",
            "Anchorer doesn't have enough funds to send tx",
        ] {
            assert!(node(words).is_insufficient_funds(), "{words}");
        }
        for words in [
            "query returned more than 10000 results",
            "eth_getLogs is limited to a 10 block range",
        ] {
            assert!(node(words).asks_for_less(), "{words}");
        }
    }

    #[test]
    fn a_rate_limit_is_not_a_range_that_is_too_large() {
        let limited = RpcError::from_json(&json!({ "code": -32005, "message": "rate limit exceeded" }));
        assert!(limited.is_rate_limited() && !limited.asks_for_less());
    }

    #[test]
    fn the_words_of_a_revert_are_not_the_nodes() {
        let wallet_says = "rate limit: too many requests, capacity";
        let reverts = [
            json!({ "code": 3, "message": format!("execution reverted: {wallet_says}"), "data": "0x08c379a0" }),
            json!({ "code": 3, "message": wallet_says }),
            json!({ "code": -32000, "message": format!("VM Exception while processing transaction: revert {wallet_says}") }),
            json!({ "code": -32015, "message": wallet_says, "data": "Reverted 0x08c379a0" }),
            json!({ "code": -32603, "message": wallet_says, "data": { "message": wallet_says, "data": "0x08c379a0" } }),
            json!({ "code": -32016, "message": wallet_says, "data": "0x" }),
        ];
        for revert in reverts {
            let error = RpcError::from_json(&revert);
            assert!(error.revert().is_some(), "{revert}");
            assert!(!error.is_rate_limited() && !error.is_nodes_fault(), "{revert}");
        }
        for limit in [
            json!({ "code": -32005, "message": wallet_says }),
            json!({ "code": 429, "message": "x" }),
        ] {
            let error = RpcError::from_json(&limit);
            assert!(error.is_rate_limited() && error.is_nodes_fault(), "{limit}");
        }
    }

    #[test]
    fn the_reason_may_be_in_the_data_alone() {
        for data in [
            json!("query returned more than 10000 results"),
            json!({ "message": "query returned more than 10000 results" }),
            json!({ "reason": "query returned more than 10000 results" }),
        ] {
            let error =
                RpcError::from_json(&json!({ "code": -32603, "message": "Internal error", "data": data }));
            assert!(error.asks_for_less(), "{error}");
            assert_eq!(error.revert(), None);
        }
    }

    #[test]
    fn revert_data_is_found_in_every_place() {
        let places = [
            json!({ "code": 3, "message": "execution reverted", "data": "0x1234" }),
            json!({ "code": -32015, "message": "revert", "data": "Reverted 0x1234" }),
            json!({ "code": -32603, "message": "x", "data": { "message": "y", "data": "0x1234" } }),
        ];
        for place in places {
            assert_eq!(
                RpcError::from_json(&place).revert(),
                Some(Bytes::from([0x12, 0x34])),
                "{place}"
            );
        }
        assert_eq!(node("nonce too low").revert(), None);
    }
}

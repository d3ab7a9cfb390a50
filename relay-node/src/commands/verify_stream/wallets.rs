//! The questions to contract wallets, which belong to participants: any of them may be hostile.
//!
//! What always holds: a wallet is asked once about a signature, and no more in this run once it gave no answer; what all of
//! them take is bounded; and no answer of a wallet ends the run, which only a node can that answers nothing at all.

use super::chain::Node;
use super::unvouched::Unvouched;
use crate::commands::authors::{wallet_agrees, wallet_question};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use streamchain_chain::ethereum::{BlockId, Request, RpcError};
use streamchain_protocol::{Address, B256, Bytes, keccak256};

/// How long one answer may take: a wallet may use as much gas as the node lets it, which takes nodes a few seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all wallets of a run may take until they said no or nothing. Whoever deploys many slow wallets delays the run no longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one answer may take after that: enough for a wallet that does nothing else but check a signature.
const HURRIED_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a node that fails is asked: with the pauses, a restart or a rate limit by the second is over.
const TRIES: u32 = 3;
const TRY_PAUSE: Duration = Duration::from_secs(2);

/// What contract wallets answered in this run.
#[derive(Debug)]
pub(super) struct Wallets {
    /// By account, hash and signature: there are as many as certificates.
    answers: HashMap<B256, bool>,
    /// Those that gave no answer, and what the node said instead.
    silent: HashMap<Address, String>,
    patience: Duration,
}

impl Wallets {
    /// Nobody was asked yet.
    pub(super) fn new() -> Self {
        Self {
            answers: HashMap::new(),
            silent: HashMap::new(),
            patience: PATIENCE,
        }
    }

    /// Asks whether a signature over a hash is the account's, by the chain's newest state. Fails where the node answers nothing.
    pub(super) async fn ask(
        &mut self,
        node: &Node,
        account: Address,
        hash: B256,
        signature: &Bytes,
    ) -> Result<Result<(), Unvouched>, String> {
        let question = keccak256([account.as_slice(), hash.as_slice(), signature.as_ref()].concat());
        if let Some(agrees) = self.answers.get(&question) {
            return Ok(agrees.then_some(()).ok_or(Unvouched::Refused));
        }
        if let Some(reason) = self.silent.get(&account) {
            return Ok(Err(Unvouched::Silent(reason.clone())));
        }
        let request = wallet_question(account, hash, signature.clone(), BlockId::Latest);
        let asked = Instant::now();
        let answer = self.try_call(node, &request).await;
        if !matches!(answer, Ok(true)) {
            self.patience = self.patience.saturating_sub(asked.elapsed());
        }
        match answer {
            Ok(agrees) => {
                self.answers.insert(question, agrees);
                Ok(agrees.then_some(()).ok_or(Unvouched::Refused))
            }
            // The wallet may be why there is no answer: a node that is at fault itself does not answer this either.
            Err(error) => {
                let of_node = |other| format!("{}: {error}; {other}", request.method());
                node.chain_id().await.map_err(of_node)?;
                let reason = error.to_string();
                self.silent.insert(account, reason.clone());
                Ok(Err(Unvouched::Silent(reason)))
            }
        }
    }

    async fn try_call(&self, node: &Node, request: &Request) -> Result<bool, RpcError> {
        let timeout = ANSWER_TIMEOUT.min(self.patience).max(HURRIED_TIMEOUT);
        let max_tries = if self.patience.is_zero() { 1 } else { TRIES };
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = tokio::time::timeout(timeout, node.call(request)).await;
            let late = RpcError::Timeout(timeout.as_millis() as u64);
            match wallet_agrees(answer.unwrap_or(Err(late))) {
                Err(error) if tries < max_tries && !matches!(error, RpcError::Timeout(_)) => {
                    tokio::time::sleep(TRY_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}

#[cfg(test)]
#[path = "wallets_tests.rs"]
mod tests;

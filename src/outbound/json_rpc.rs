//! JSON-RPC over fetch.
//!
//! What always holds: every call ends within [`TIMEOUT_MS`], and its body is read to the end or cancelled; no node is
//! believed before it has named the configured chain (see [`Endpoints`]).

use crate::clock::now;
use crate::config::chain::ChainConfig;
use crate::outbound::fetch::{Bounds, OutboundError, post_json};
use futures_util::future::join_all;
use std::cell::{Cell, OnceCell, RefCell};
use streamchain_chain::ethereum::{Answer, Choice, Endpoints, NodeUrl, Request, RpcError};
use worker::{Env, Error, console_warn};

/// How long a node may take for one call, in ms: a log query over a full range takes seconds at some providers.
const TIMEOUT_MS: u64 = 10_000;
/// The largest answer that is read, in bytes: a quarter of what an instance has is taken by text and values.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The nodes of one chain.
pub(crate) struct Rpc {
    urls: Vec<NodeUrl>,
    endpoints: RefCell<Endpoints>,
    /// The index of the URL that answered last.
    last: Cell<usize>,
}

impl Rpc {
    /// Nodes at `urls`, in order of preference, of the chain `chain_id`.
    pub(crate) fn new(chain_id: u64, urls: Vec<NodeUrl>) -> Self {
        let endpoints = RefCell::new(Endpoints::new(chain_id, urls.len()));
        Self {
            urls,
            endpoints,
            last: Cell::new(0),
        }
    }

    /// Asks one node after the other until one answers. When none does, what the node said that was asked first is
    /// what is known.
    pub(crate) async fn call(&self, request: &Request) -> Result<Answer, RpcError> {
        let mut asked = Vec::new();
        let mut first = None;
        loop {
            let choice = self.endpoints.borrow().choose(request, &asked, now());
            let Some(choice) = choice else { break };
            asked.push(choice.index);
            let outcome = self.call_one(choice, request).await;
            let mut endpoints = self.endpoints.borrow_mut();
            if endpoints.handle_outcome(choice.index, request, &outcome, now()) {
                return outcome;
            }
            if let Err(error) = &outcome {
                console_warn!("{} at node {}: {error}", request.method(), choice.index);
            }
            first.get_or_insert(outcome);
        }
        let limited = self.endpoints.borrow().all_limited(now());
        let none = || Err(limited.unwrap_or_else(|| RpcError::Transport("no URL is configured".into())));
        first.unwrap_or_else(none)
    }

    /// Asks all nodes at once. Returns what each of them said.
    pub(crate) async fn call_all(&self, request: &Request) -> Vec<Result<Answer, RpcError>> {
        let choice = |index| Choice {
            index,
            check_chain: true,
        };
        join_all((0..self.urls.len()).map(|index| self.call_one(choice(index), request))).await
    }

    async fn call_one(&self, choice: Choice, request: &Request) -> Result<Answer, RpcError> {
        let Some(url) = self.urls.get(choice.index) else {
            return Err(RpcError::Transport("no URL is configured".into()));
        };
        self.last.set(choice.index);
        if choice.check_chain {
            let named = post(url, &Request::ChainId).await;
            self.endpoints
                .borrow_mut()
                .handle_chain_id(choice.index, named, now())?;
        }
        post(url, request).await
    }

    /// The node that answered last cannot be right: it is left alone.
    pub(crate) fn distrust(&self) {
        self.endpoints.borrow_mut().handle_failure(self.last.get(), now());
    }
}

/// The nodes that the configuration names, set up when they are first needed.
pub(crate) fn configured<'a>(cell: &'a OnceCell<Rpc>, env: &Env) -> Result<&'a Rpc, Error> {
    if cell.get().is_none() {
        let config = ChainConfig::of(env).map_err(|error| Error::RustError(error.to_string()))?;
        let _ = cell.set(Rpc::new(config.chain_id, config.urls));
    }
    cell.get().ok_or_else(|| Error::RustError("no node".into()))
}

async fn post(url: &NodeUrl, request: &Request) -> Result<Answer, RpcError> {
    let bounds = Bounds {
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_ANSWER,
    };
    let answered = post_json(url.as_str(), url.authorization(), request.body(), bounds).await;
    let (status, body) = answered.map_err(|error| match error {
        OutboundError::Transport(reason) => RpcError::Transport(reason),
        OutboundError::Timeout(ms) => RpcError::Timeout(ms),
        OutboundError::TooLarge(bytes) => RpcError::TooLarge(bytes),
    })?;
    request.decode_response(status, &String::from_utf8_lossy(&body))
}

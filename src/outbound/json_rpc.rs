//! JSON-RPC over fetch.
//!
//! What always holds: every call ends within [`TIMEOUT_MS`], and its body is read to the end or cancelled; no node is
//! believed before it has named the configured chain (see [`Endpoints`]).

use crate::config::chain::ChainConfig;
use crate::outbound::fetch::{Bounds, OutboundError, post_json};
use std::cell::{Cell, OnceCell, RefCell};
use streamchain_chain::ethereum::Endpoints;
use streamchain_chain::ethereum::{Answer, Request, RpcError};
use streamchain_protocol::time::UnixMs;
use worker::{Date, Env, Error, console_warn};

/// How long a node may take for one call, in ms: a log query over a full range takes seconds at some providers.
const TIMEOUT_MS: u64 = 10_000;
/// The largest answer that is read, in bytes: a quarter of what an instance has is taken by text and values.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The nodes of one chain.
pub(crate) struct Rpc {
    urls: Vec<String>,
    endpoints: RefCell<Endpoints>,
    /// The index of the URL that answered last.
    last: Cell<usize>,
}

impl Rpc {
    /// Nodes at `urls`, in order of preference, of the chain `chain_id`.
    pub(crate) fn new(chain_id: u64, urls: Vec<String>) -> Self {
        let endpoints = RefCell::new(Endpoints::new(chain_id, urls.len()));
        Self {
            urls,
            endpoints,
            last: Cell::new(0),
        }
    }

    /// Asks a node; where it fails, the next one.
    pub(crate) async fn call(&self, request: &Request) -> Result<Answer, RpcError> {
        let mut outcome = Err(RpcError::Transport("no URL is configured".into()));
        for _ in 0..self.urls.len() {
            outcome = self.call_one(request).await;
            match &outcome {
                Err(error) if error.is_nodes_fault() => {
                    console_warn!("{} at node {}: {error}", request.method(), self.last.get());
                }
                _ => break,
            }
        }
        outcome
    }

    async fn call_one(&self, request: &Request) -> Result<Answer, RpcError> {
        let choice = self.endpoints.borrow().choose(now());
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
        let outcome = post(url, request).await;
        if outcome.as_ref().is_err_and(RpcError::is_nodes_fault) {
            self.distrust();
        }
        outcome
    }

    /// The node that answered last fails, or cannot be right: it rests.
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

async fn post(url: &str, request: &Request) -> Result<Answer, RpcError> {
    let bounds = Bounds {
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_ANSWER,
    };
    let answered = post_json(url, None, request.body(), bounds).await;
    let (status, body) = answered.map_err(|error| match error {
        OutboundError::Transport(reason) => RpcError::Transport(reason),
        OutboundError::Timeout(ms) => RpcError::Timeout(ms),
        OutboundError::TooLarge(bytes) => RpcError::TooLarge(bytes),
    })?;
    let body = String::from_utf8_lossy(&body);
    // Many nodes send their JSON-RPC errors with a status of their own: the words say more than the number.
    match status {
        200 => request.decode(&body),
        _ if body.contains("\"jsonrpc\"") && status != 429 => request.decode(&body),
        _ => Err(RpcError::Http(status)),
    }
}

fn now() -> UnixMs {
    UnixMs(Date::now().as_millis())
}

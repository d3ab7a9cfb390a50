//! The routes of the API: each is stated once, with its method, path, audit action, guard and handler.

use crate::http;
use crate::path::{PathParameters, has_shape};
use crate::request::Call;
use crate::response::Answer;
use futures_util::future::LocalBoxFuture;
use std::future::ready;
use streamchain_edge_core::attempt::Action::{self, Ask, Change};

/// What is checked and counted before the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The requests of the client's address are counted.
    Client,
    /// As [`Self::Client`]; and it answers with credentials that cost something, a question to the chain or a row: they
    /// are counted exactly.
    Credentials,
    /// Only relays come here: they send many messages each, and show their key.
    Relay,
}

/// How a request is answered.
pub type Handler = fn(Call, PathParameters) -> LocalBoxFuture<'static, Answer>;

/// One method of one resource.
pub struct Route {
    /// The method. One that is GET serves HEAD too.
    pub method: &'static str,
    /// The path, with `{name}` for each parameter.
    pub path: &'static str,
    /// What it does, as the audit log calls it. Streams and relays are recorded where they are made.
    pub action: Action,
    /// What is checked before.
    pub guard: Guard,
    /// What answers it.
    pub handler: Handler,
}

macro_rules! routes {
    ($($method:ident $path:literal, $action:expr, $guard:ident, |$call:ident, $at:ident| $answer:expr;)*) => {
        /// Every route.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            action: $action,
            guard: Guard::$guard,
            handler: |$call, $at| Box::pin(async move { $answer.await }),
        }),*];
    };
}

/// Answered before anything else is read, so that it tells only whether the Worker runs.
pub const HEALTH: &str = "/v1/health";

routes! {
    GET "/v1/health", Ask("read"), Client, |_call, _at| ready(http::health::get());
    GET "/v1/config", Ask("read"), Client, |call, _at| ready(http::config::get(&call));
    GET "/v1/status", Ask("read"), Client, |call, _at| http::status::get(&call);
    GET "/v1/costs", Ask("read"), Client, |call, _at| http::costs::get(&call);
    GET "/v1/audit", Ask("read"), Client, |call, _at| http::audit::list(&call);
    POST "/v1/auth/guest", Ask("guest.create"), Client, |call, _at| ready(http::tokens::guest(&call));
    POST "/v1/auth/nonce", Ask("nonce.create"), Client, |call, _at| ready(http::tokens::nonce(&call));
    POST "/v1/auth/wallet", Change("wallet.sign-in"), Credentials, |call, _at| http::tokens::wallet(call);
    POST "/v1/auth/token", Ask("token.create"), Credentials, |call, _at| http::tokens::token(call);
    POST "/v1/auth/revoke", Change("token.revoke"), Client, |call, _at| http::tokens::revoke(call);
    GET "/v1/keys", Ask("read"), Client, |call, _at| http::keys::list(&call);
    POST "/v1/keys", Change("key.create"), Credentials, |call, _at| http::keys::create(call);
    DELETE "/v1/keys/{key}", Change("key.remove"), Client, |call, at| http::keys::remove(&call, at.key()?);
    GET "/v1/ice-servers", Ask("read"), Client, |call, _at| http::ice_servers::get(&call);
    GET "/v1/streams", Ask("read"), Client, |call, _at| http::streams::list(&call);
    POST "/v1/streams", Ask("stream.create"), Client, |call, _at| http::streams::create(call);
    GET "/v1/streams/{stream}", Ask("read"), Client, |call, at| http::streams::get(&call, &at.stream()?);
    PATCH "/v1/streams/{stream}", Change("stream.change"), Client,
        |call, at| http::streams::change(call, &at.stream()?);
    GET "/v1/streams/{stream}/members", Ask("read"), Client, |call, at| http::members::list(&call, &at.stream()?);
    PUT "/v1/streams/{stream}/members/{member}", Change("member.put"), Client,
        |call, at| http::members::put(call, &at.stream()?, at.member()?);
    DELETE "/v1/streams/{stream}/members/{member}", Change("member.remove"), Client,
        |call, at| http::members::remove(&call, &at.stream()?, at.member()?);
    POST "/v1/streams/{stream}/sessions", Ask("session.open"), Client,
        |call, at| http::sessions::open(call, &at.stream()?);
    GET "/v1/streams/{stream}/messages", Ask("read"), Client, |call, at| http::messages::list(&call, &at.stream()?);
    POST "/v1/streams/{stream}/messages", Ask("message.publish"), Client,
        |call, at| http::publish::post(call, &at.stream()?);
    GET "/v1/streams/{stream}/messages/{seq}/receipt", Ask("read"), Client,
        |call, at| http::receipts::get(&call, &at.stream()?, at.seq()?);
    GET "/v1/streams/{stream}/anchors", Ask("read"), Client, |call, at| http::anchors::list(&call, &at.stream()?);
    GET "/v1/streams/{stream}/events", Ask("read"), Client, |call, at| http::events::get(call, at.stream()?);
    GET "/v1/streams/{stream}/segments", Ask("read"), Client, |call, at| http::segments::list(&call, &at.stream()?);
    GET "/v1/streams/{stream}/chain", Ask("read"), Client, |call, at| http::chain::list(&call, &at.stream()?);
    POST "/v1/chain/replay", Change("chain.replay"), Client, |call, _at| http::chain::replay(&call);
    DELETE "/v1/sessions/{session}", Change("session.end"), Client,
        |call, at| http::sessions::end(&call, at.session()?);
    GET "/v1/sessions/{session}/signals", Ask("read"), Client, |call, at| http::signals::list(&call, at.session()?);
    POST "/v1/sessions/{session}/signals", Ask("signal.leave"), Client,
        |call, at| http::signals::post(call, at.session()?);
    PUT "/v1/relays/{relay}", Ask("relay.register"), Relay, |call, at| http::relays::register(call, at.relay()?);
    DELETE "/v1/relays/{relay}", Ask("relay.register"), Relay, |call, at| http::relays::goodbye(&call, at.relay()?);
    PUT "/v1/relays/{relay}/streams/{stream}", Ask("relay.work"), Relay,
        |call, at| http::relays::acquire_epoch(call, at.relay()?, &at.stream()?);
    DELETE "/v1/relays/{relay}/streams/{stream}", Ask("relay.work"), Relay,
        |call, at| http::relays::release(&call, at.relay()?, &at.stream()?);
    GET "/v1/relays/{relay}/streams/{stream}/inbox", Ask("read"), Relay,
        |call, at| http::relays::inbox(&call, at.relay()?, &at.stream()?);
    GET "/v1/relays/{relay}/streams/{stream}/producers/{producer}", Ask("read"), Relay,
        |call, at| http::relays::producer(&call, at.relay()?, &at.stream()?, at.producer()?);
    POST "/v1/relays/{relay}/streams/{stream}/batches", Ask("relay.work"), Relay,
        |call, at| http::relays::batch(call, at.relay()?, &at.stream()?);
}

/// The resource that a path is: its routes.
pub struct Resource {
    /// The path of its routes.
    pub path: &'static str,
}

impl Resource {
    /// The resource of this path, if there is one of its shape.
    pub fn find(path: &str) -> Option<Self> {
        let route = ROUTES.iter().find(|route| has_shape(route.path, path))?;
        Some(Self { path: route.path })
    }

    fn routes(&self) -> impl Iterator<Item = &'static Route> {
        let path = self.path;
        ROUTES.iter().filter(move |route| route.path == path)
    }

    /// The route for a method, by the method's own name: the runtime's type takes names that it lacks for GET.
    pub fn route(&self, method: &str) -> Option<&'static Route> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.routes().find(|route| route.method == method)
    }

    /// The methods that it has, as the header `Allow` lists them.
    pub fn allow(&self) -> String {
        let mut allow = String::new();
        for route in self.routes() {
            allow += route.method;
            allow += if route.method == "GET" { ", HEAD, " } else { ", " };
        }
        allow + "OPTIONS"
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;

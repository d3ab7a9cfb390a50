//! The routes of the API: each is stated once, with its method, path, audit action, guard and handler.

use crate::http;
use crate::path::{PathParameters, has_shape};
use crate::request::Call;
use crate::response::Answer;
use futures_util::future::LocalBoxFuture;
use streamchain_edge_core::attempt::Action::{self, Ask, Change};

/// What is checked and counted before the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The requests of the client's address are counted.
    Client,
    /// As [`Self::Client`]; and it answers with credentials that cost something, a question to the chain or a row: they
    /// are counted exactly.
    Credentials,
    /// Only relays come here: they send many messages each, and show their key.
    Relay,
}

/// How a request is answered.
pub(crate) type Handler = fn(Call, PathParameters) -> LocalBoxFuture<'static, Answer>;

/// One method of one resource.
pub(crate) struct Route {
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
    ($($method:ident $path:literal, $action:expr, $guard:ident, $handler:expr;)*) => {
        /// Every route.
        pub(crate) const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            action: $action,
            guard: Guard::$guard,
            handler: |call, at| Box::pin($handler(call, at)),
        }),*];
    };
}

/// Answered before anything else is read, so that it shows only whether the Worker runs.
pub(crate) const HEALTH: &str = "/v1/health";

routes! {
    GET "/v1/health", Ask("read"), Client, http::health::get;
    GET "/v1/config", Ask("read"), Client, http::config::get;
    GET "/v1/status", Ask("read"), Client, http::status::get;
    GET "/v1/metrics", Ask("metrics.read"), Client, http::metrics::get;
    GET "/v1/costs", Ask("read"), Client, http::costs::get;
    GET "/v1/audit", Ask("read"), Client, http::audit::list;
    POST "/v1/auth/guest", Ask("guest.create"), Client, http::tokens::guest;
    POST "/v1/auth/nonce", Ask("nonce.create"), Client, http::tokens::nonce;
    POST "/v1/auth/wallet", Change("wallet.sign-in"), Credentials, http::tokens::wallet;
    POST "/v1/auth/token", Ask("token.create"), Credentials, http::tokens::token;
    POST "/v1/auth/revoke", Change("token.revoke"), Credentials, http::tokens::revoke;
    GET "/v1/keys", Ask("read"), Client, http::keys::list;
    POST "/v1/keys", Change("key.create"), Credentials, http::keys::create;
    DELETE "/v1/keys/{key}", Change("key.remove"), Client, http::keys::remove;
    PUT "/v1/keys/{key}/public-key", Change("key.change"), Credentials, http::keys::put_public_key;
    GET "/v1/authors/{author}/keys/{publicKey}", Ask("read"), Client, http::author_keys::get;
    GET "/v1/ice-servers", Ask("read"), Client, http::ice_servers::get;
    GET "/v1/streams", Ask("read"), Client, http::streams::list;
    POST "/v1/streams", Ask("stream.create"), Client, http::streams::create;
    GET "/v1/streams/{stream}", Ask("read"), Client, http::streams::get;
    PATCH "/v1/streams/{stream}", Change("stream.change"), Client, http::streams::change;
    GET "/v1/streams/{stream}/members", Ask("read"), Client, http::members::list;
    PUT "/v1/streams/{stream}/members/{member}", Change("member.put"), Client, http::members::put;
    DELETE "/v1/streams/{stream}/members/{member}", Change("member.remove"), Client, http::members::remove;
    POST "/v1/streams/{stream}/sessions", Ask("session.open"), Client, http::sessions::open;
    GET "/v1/streams/{stream}/messages", Ask("read"), Client, http::messages::list;
    POST "/v1/streams/{stream}/messages", Ask("message.publish"), Client, http::publish::post;
    DELETE "/v1/streams/{stream}/messages/{seq}", Change("message.erase"), Client, http::erasure::erase;
    GET "/v1/streams/{stream}/messages/{seq}/receipt", Ask("read"), Client, http::receipts::get;
    GET "/v1/streams/{stream}/anchors", Ask("read"), Client, http::anchors::list;
    GET "/v1/streams/{stream}/events", Ask("read"), Client, http::events::get;
    GET "/v1/streams/{stream}/webhooks", Ask("read"), Client, http::webhooks::list;
    POST "/v1/streams/{stream}/webhooks", Change("webhook.create"), Client, http::webhooks::create;
    PATCH "/v1/streams/{stream}/webhooks/{webhook}", Change("webhook.change"), Client, http::webhooks::change;
    DELETE "/v1/streams/{stream}/webhooks/{webhook}", Change("webhook.remove"), Client, http::webhooks::remove;
    GET "/v1/streams/{stream}/segments", Ask("read"), Client, http::segments::list;
    GET "/v1/streams/{stream}/runs", Ask("read"), Client, http::runs::list;
    GET "/v1/streams/{stream}/chain", Ask("read"), Client, http::chain::list;
    GET "/v1/rounds", Ask("read"), Client, http::rounds::list;
    GET "/v1/rounds/{round}", Ask("read"), Client, http::rounds::get;
    GET "/v1/rounds/{round}/buckets/{bucket}", Ask("read"), Client, http::rounds::bucket;
    POST "/v1/chain/replay", Change("chain.replay"), Client, http::chain::replay;
    DELETE "/v1/sessions/{session}", Change("session.end"), Client, http::sessions::end;
    POST "/v1/sessions/{session}/streams/{stream}", Ask("session.join"), Client, http::joins::join;
    GET "/v1/sessions/{session}/signals", Ask("read"), Client, http::signals::list;
    POST "/v1/sessions/{session}/signals", Ask("signal.leave"), Client, http::signals::post;
    PUT "/v1/relays/{relay}", Ask("relay.register"), Relay, http::relays::register;
    DELETE "/v1/relays/{relay}", Ask("relay.register"), Relay, http::relays::goodbye;
    POST "/v1/relays/{relay}/batches", Ask("relay.work"), Relay, http::relays::bundle;
    PUT "/v1/relays/{relay}/streams/{stream}", Ask("relay.work"), Relay, http::relays::acquire_epoch;
    DELETE "/v1/relays/{relay}/streams/{stream}", Ask("relay.work"), Relay, http::relays::release;
    PUT "/v1/relays/{relay}/streams/{stream}/presence", Ask("relay.work"), Relay, http::relays::presence;
    GET "/v1/relays/{relay}/streams/{stream}/inbox", Ask("read"), Relay, http::relays::inbox;
    GET "/v1/relays/{relay}/streams/{stream}/producers/{producer}", Ask("read"), Relay, http::relays::producer;
    POST "/v1/relays/{relay}/streams/{stream}/batches", Ask("relay.work"), Relay, http::relays::batch;
}

/// The methods that there are at all, as the header `Allow` lists them.
pub(crate) fn all_methods() -> String {
    let mut methods = vec!["OPTIONS", "HEAD"];
    for route in ROUTES {
        if !methods.contains(&route.method) {
            methods.push(route.method);
        }
    }
    methods.join(", ")
}

/// The resource that a path is: its routes.
pub(crate) struct Resource {
    /// The path of its routes.
    pub path: &'static str,
}

impl Resource {
    /// The resource of this path, if there is one of its shape.
    pub(crate) fn find(path: &str) -> Option<Self> {
        let route = ROUTES.iter().find(|route| has_shape(route.path, path))?;
        Some(Self { path: route.path })
    }

    fn routes(&self) -> impl Iterator<Item = &'static Route> {
        let path = self.path;
        ROUTES.iter().filter(move |route| route.path == path)
    }

    /// The route for a method, by the method's own name: the runtime's type takes names that it lacks for GET.
    pub(crate) fn route(&self, method: &str) -> Option<&'static Route> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.routes().find(|route| route.method == method)
    }

    /// The methods that it has, as the header `Allow` lists them.
    pub(crate) fn allow(&self) -> String {
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

//! Paths → resources. A path is parsed once, into a [`Route`] that can't be wrong.

use crate::audit::{Action, Attempt};
use crate::config::Config;
use crate::cors;
use crate::http;
use crate::objects::audit::api as audit;
use crate::objects::limits::api as limits_api;
use crate::problem::{Kind, Problem};
use crate::rate_limit;
use crate::request::{Call, parse_number};
use alloy_primitives::Address;
use streamchain_edge_core::rate_policy::Policy;
use streamchain_protocol::ids::{KeyId, ProducerId, RelayId, Seq, SessionRef, StreamRef};
use worker::{Context, Env, Method, Request, Response};

/// A resource of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/v1/health`
    Health,
    /// `/v1/config`
    Config,
    /// `/v1/status`
    Status,
    /// `/v1/costs`
    Costs,
    /// `/v1/auth/guest`
    Guest,
    /// `/v1/audit`
    Audit,
    /// `/v1/auth/nonce`
    Nonce,
    /// `/v1/auth/wallet`
    Wallet,
    /// `/v1/auth/token`
    Token,
    /// `/v1/auth/revoke`
    Revoke,
    /// `/v1/keys`
    Keys,
    /// `/v1/keys/{key}`
    Key(KeyId),
    /// `/v1/ice-servers`
    IceServers,
    /// `/v1/streams`
    Streams,
    /// `/v1/streams/{stream}`
    Stream(StreamRef),
    /// `/v1/streams/{stream}/members`
    Members(StreamRef),
    /// `/v1/streams/{stream}/members/{address}`
    Member(StreamRef, Address),
    /// `/v1/streams/{stream}/sessions`
    Sessions(StreamRef),
    /// `/v1/streams/{stream}/messages`
    Messages(StreamRef),
    /// `/v1/streams/{stream}/messages/{seq}/receipt`
    Receipt(StreamRef, Seq),
    /// `/v1/streams/{stream}/anchors`
    Anchors(StreamRef),
    /// `/v1/streams/{stream}/events`
    Events(StreamRef),
    /// `/v1/streams/{stream}/segments`
    Segments(StreamRef),
    /// `/v1/streams/{stream}/chain`
    Chain(StreamRef),
    /// `/v1/chain/replay`
    Replay,
    /// `/v1/sessions/{session}`
    Session(SessionRef),
    /// `/v1/sessions/{session}/signals`
    Signals(SessionRef),
    /// `/v1/relays/{relay}`
    Relay(RelayId),
    /// `/v1/relays/{relay}/streams/{stream}`
    AcquireEpoch(RelayId, StreamRef),
    /// `/v1/relays/{relay}/streams/{stream}/producers/{producer}`
    Producer(RelayId, StreamRef, ProducerId),
    /// `/v1/relays/{relay}/streams/{stream}/inbox`
    Inbox(RelayId, StreamRef),
    /// `/v1/relays/{relay}/streams/{stream}/batches`
    Batches(RelayId, StreamRef),
}

impl Route {
    /// The resource at `path`; `None` when there is none of that shape.
    pub fn parse(path: &str) -> Result<Option<Self>, Problem> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let Some(("v1", rest)) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
            return Ok(None);
        };
        Ok(Some(match rest {
            ["health"] => Self::Health,
            ["config"] => Self::Config,
            ["status"] => Self::Status,
            ["costs"] => Self::Costs,
            ["auth", "guest"] => Self::Guest,
            ["audit"] => Self::Audit,
            ["auth", "nonce"] => Self::Nonce,
            ["auth", "wallet"] => Self::Wallet,
            ["auth", "token"] => Self::Token,
            ["auth", "revoke"] => Self::Revoke,
            ["keys"] => Self::Keys,
            ["keys", key] => Self::Key(key.parse()?),
            ["ice-servers"] => Self::IceServers,
            ["streams"] => Self::Streams,
            ["streams", stream] => Self::Stream(stream.parse()?),
            ["streams", stream, "members"] => Self::Members(stream.parse()?),
            ["streams", stream, "members", member] => Self::Member(stream.parse()?, parse_address(member)?),
            ["streams", stream, "sessions"] => Self::Sessions(stream.parse()?),
            ["streams", stream, "messages"] => Self::Messages(stream.parse()?),
            ["streams", stream, "messages", seq, "receipt"] => {
                Self::Receipt(stream.parse()?, parse_seq(seq)?)
            }
            ["streams", stream, "anchors"] => Self::Anchors(stream.parse()?),
            ["streams", stream, "events"] => Self::Events(stream.parse()?),
            ["streams", stream, "segments"] => Self::Segments(stream.parse()?),
            ["streams", stream, "chain"] => Self::Chain(stream.parse()?),
            ["chain", "replay"] => Self::Replay,
            ["sessions", session] => Self::Session(session.parse()?),
            ["sessions", session, "signals"] => Self::Signals(session.parse()?),
            ["relays", relay] => Self::Relay(relay.parse()?),
            ["relays", relay, "streams", stream] => Self::AcquireEpoch(relay.parse()?, stream.parse()?),
            ["relays", relay, "streams", stream, "producers", producer] => {
                Self::Producer(relay.parse()?, stream.parse()?, producer.parse()?)
            }
            ["relays", relay, "streams", stream, "inbox"] => Self::Inbox(relay.parse()?, stream.parse()?),
            ["relays", relay, "streams", stream, "batches"] => Self::Batches(relay.parse()?, stream.parse()?),
            _ => return Ok(None),
        }))
    }

    /// What may be done with it, as the `Allow` header lists it.
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Streams | Self::Messages(_) | Self::Signals(_) | Self::Keys => "GET, HEAD, POST, OPTIONS",
            Self::Nonce | Self::Wallet | Self::Token | Self::Revoke => "POST, OPTIONS",
            Self::Guest | Self::Replay | Self::Sessions(_) | Self::Batches(..) => "POST, OPTIONS",
            Self::Session(_) | Self::Key(_) => "DELETE, OPTIONS",
            Self::Stream(_) => "GET, HEAD, PATCH, OPTIONS",
            Self::Member(..) => "PUT, DELETE, OPTIONS",
            Self::Relay(_) => "PUT, DELETE, OPTIONS",
            Self::AcquireEpoch(..) => "PUT, DELETE, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether only relays come here: they are many messages each, and show their key.
    fn is_for_relays(&self) -> bool {
        matches!(
            self,
            Self::Relay(_)
                | Self::AcquireEpoch(..)
                | Self::Producer(..)
                | Self::Inbox(..)
                | Self::Batches(..)
        )
    }

    /// Whether it answers with credentials that cost something: a question to the chain, or a row.
    fn gives_credentials(&self, method: &Method) -> bool {
        matches!(
            (method, self),
            (Method::Post, Self::Wallet | Self::Token | Self::Keys)
        )
    }

    /// What a method changes here, as the audit log calls it. Streams and relays are recorded where they are made.
    fn action(&self, method: &Method) -> Action {
        match (method, self) {
            (Method::Get | Method::Head, _) => Action::Ask("read"),
            (Method::Post, Self::Streams) => Action::Ask("stream.create"),
            (_, Self::Sessions(_)) => Action::Ask("session.open"),
            (_, Self::Messages(_)) => Action::Ask("message.publish"),
            (_, Self::Guest) => Action::Ask("guest.create"),
            (_, Self::AcquireEpoch(..) | Self::Batches(..)) => Action::Ask("relay.work"),
            (_, Self::Nonce) => Action::Ask("nonce.create"),
            (_, Self::Wallet) => Action::Change("wallet.sign-in"),
            (_, Self::Token) => Action::Ask("token.create"),
            (_, Self::Revoke) => Action::Change("token.revoke"),
            (_, Self::Keys) => Action::Change("key.create"),
            (_, Self::Key(_)) => Action::Change("key.remove"),
            (_, Self::Relay(_)) => Action::Ask("relay.register"),
            (_, Self::Stream(_)) => Action::Change("stream.change"),
            (Method::Delete, Self::Member(..)) => Action::Change("member.remove"),
            (_, Self::Member(..)) => Action::Change("member.put"),
            (_, Self::Signals(_)) => Action::Ask("signal.leave"),
            (_, Self::Session(_)) => Action::Change("session.end"),
            (_, Self::Replay) => Action::Change("chain.replay"),
            _ => Action::Change("other"),
        }
    }

    /// Whether a method, by its own name, may be used here: the runtime's type takes names that it lacks for GET.
    fn allows(&self, method: &str) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method)
    }
}

fn parse_address(text: &str) -> Result<Address, Problem> {
    let address = text.strip_prefix("0x").and_then(|_| text.parse().ok());
    address.ok_or_else(|| Problem::new(Kind::BadId, "member: expected 0x and 40 hexadecimal digits"))
}

fn parse_seq(text: &str) -> Result<Seq, Problem> {
    parse_number("seq", text).map(Seq)
}

/// Answers a request; never fails, whatever goes wrong behind it.
pub async fn serve(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let path = request.path();
    if path != "/v1" && !path.starts_with("/v1/") {
        return http::assets::serve(request, &env).await;
    }
    let head = request.method() == Method::Head;
    let response = match dispatch(request, &path, env, &context).await {
        Ok(response) => response,
        Err(problem) => problem.into_response()?,
    };
    let response = cors::open_to_all(response)?;
    if !head {
        return Ok(response);
    }
    let (status, headers) = (response.status_code(), response.headers().clone());
    Ok(Response::empty()?.with_status(status).with_headers(headers))
}

async fn dispatch(request: Request, path: &str, env: Env, context: &Context) -> Result<Response, Problem> {
    let route = Route::parse(path)?;
    let route =
        route.ok_or_else(|| Problem::new(Kind::NotFound, format!("no resource has the path {path}")))?;
    let method = request.method();
    if method == Method::Options {
        return Ok(cors::preflight(route.allow())?);
    }
    let named = request.inner().method();
    if !route.allows(&named) {
        let detail = format!("{named} is not among {}", route.allow());
        return Err(Problem::new(Kind::MethodNotAllowed, detail).header("allow", route.allow()));
    }
    if route == Route::Health {
        return http::health::get();
    }
    let config = Config::of(&env);
    let config = config.map_err(|error| Problem::new(Kind::Misconfigured, error.to_string()))?;
    let attempt = Attempt::new(&request, path, route.action(&method));
    let answer = answer(Call::new(request, env.clone(), config.clone()), method, route).await;
    if let Some(entry) = attempt.entry(&config, &answer) {
        context.wait_until(audit::record(env, config, entry));
    }
    answer
}

async fn answer(call: Call, method: Method, route: Route) -> Result<Response, Problem> {
    if !route.is_for_relays() {
        let client = rate_limit::client(call.headers());
        rate_limit::front(&call.env, &call.config, &client).await?;
        if route.gives_credentials(&method) {
            let policy = Policy::CredentialsAddress;
            if let Some(refused) = limits_api::take(&call.env, &call.config, policy, &client).await? {
                return Ok(refused);
            }
        }
    }
    match (method, route) {
        (_, Route::Config) => http::config::get(&call),
        (_, Route::Status) => http::status::get(&call).await,
        (_, Route::Costs) => http::costs::get(&call).await,
        (_, Route::Guest) => http::tokens::guest(&call),
        (_, Route::Audit) => http::audit::list(&call).await,
        (_, Route::Nonce) => http::tokens::nonce(&call),
        (_, Route::Wallet) => http::tokens::wallet(call).await,
        (_, Route::Token) => http::tokens::token(call).await,
        (_, Route::Revoke) => http::tokens::revoke(call).await,
        (Method::Post, Route::Keys) => http::keys::create(call).await,
        (_, Route::Keys) => http::keys::list(&call).await,
        (_, Route::Key(key)) => http::keys::remove(&call, key).await,
        (_, Route::IceServers) => http::ice_servers::get(&call).await,
        (Method::Post, Route::Streams) => http::streams::create(call).await,
        (_, Route::Streams) => http::streams::list(&call).await,
        (Method::Patch, Route::Stream(stream)) => http::streams::change(call, &stream).await,
        (_, Route::Members(stream)) => http::members::list(&call, &stream).await,
        (Method::Put, Route::Member(stream, member)) => http::members::put(call, &stream, member).await,
        (_, Route::Member(stream, member)) => http::members::remove(&call, &stream, member).await,
        (_, Route::Stream(stream)) => http::streams::get(&call, &stream).await,
        (_, Route::Sessions(stream)) => http::sessions::open(call, &stream).await,
        (_, Route::Replay) => http::chain::replay(&call).await,
        (Method::Post, Route::Signals(session)) => http::signals::post(call, session).await,
        (_, Route::Signals(session)) => http::signals::list(&call, session).await,
        (_, Route::Session(session)) => http::sessions::end(&call, session).await,
        (Method::Post, Route::Messages(stream)) => http::publish::post(call, &stream).await,
        (_, Route::Messages(stream)) => http::messages::list(&call, &stream).await,
        (_, Route::Receipt(stream, seq)) => http::receipts::get(&call, &stream, seq).await,
        (_, Route::Anchors(stream)) => http::anchors::list(&call, &stream).await,
        (_, Route::Events(stream)) => http::events::get(call, stream).await,
        (_, Route::Segments(stream)) => http::segments::list(&call, &stream).await,
        (_, Route::Chain(stream)) => http::chain::list(&call, &stream).await,
        (Method::Delete, Route::Relay(relay)) => http::relays::goodbye(&call, &relay).await,
        (_, Route::Relay(relay)) => http::relays::register(call, &relay).await,
        (Method::Delete, Route::AcquireEpoch(relay, stream)) => {
            http::relays::release(&call, &relay, &stream).await
        }
        (_, Route::Inbox(relay, stream)) => http::relays::inbox(&call, &relay, &stream).await,
        (_, Route::AcquireEpoch(relay, stream)) => http::relays::acquire_epoch(call, &relay, &stream).await,
        (_, Route::Producer(relay, stream, producer)) => {
            http::relays::producer(&call, &relay, &stream, producer).await
        }
        (_, Route::Batches(relay, stream)) => http::relays::batch(call, &relay, &stream).await,
        (_, Route::Health) => http::health::get(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str) -> Kind {
        Route::parse(path).unwrap_err().kind()
    }

    #[test]
    fn a_path_is_a_resource_or_nothing() {
        assert_eq!(Route::parse("/v1/streams").unwrap(), Some(Route::Streams));
        assert_eq!(Route::parse("/v1/health").unwrap(), Some(Route::Health));
        assert!(matches!(
            Route::parse("/v1/streams/demo/messages/7/receipt").unwrap(),
            Some(Route::Receipt(_, Seq(7)))
        ));
        for nothing in [
            "/v1",
            "/v1/",
            "/v1/else",
            "/v1/streams/demo/",
            "/v2/streams",
            "/v1/streams/demo/messages/7",
        ] {
            assert_eq!(Route::parse(nothing).unwrap(), None, "{nothing}");
        }
    }

    #[test]
    fn a_part_out_of_shape_is_named() {
        assert_eq!(kind("/v1/streams/UPPER"), Kind::BadStreamName);
        assert_eq!(kind("/v1/streams/-/messages"), Kind::BadStreamName);
        assert_eq!(kind("/v1/sessions/12"), Kind::BadId);
        assert_eq!(kind("/v1/relays/-x"), Kind::BadId);
        assert_eq!(kind("/v1/streams/demo/messages/-1/receipt"), Kind::BadRequest);
        assert_eq!(
            kind("/v1/streams/demo/messages/9007199254740992/receipt"),
            Kind::BadRequest
        );
    }

    /// The paths that [`Route::parse`] knows, as its own source has them; `{}` stands for what is read.
    fn parsed_paths() -> Vec<String> {
        let arms = include_str!("router.rs").lines().map(str::trim);
        let arms = arms.filter_map(|line| line.strip_prefix('[')?.split_once("] =>"));
        let path = |(parts, _): (&str, &str)| {
            let parts = parts.split(", ").map(|part| match part.strip_prefix('"') {
                Some(word) => word.trim_end_matches('"'),
                None => "{}",
            });
            format!("/v1/{}", parts.collect::<Vec<_>>().join("/"))
        };
        arms.map(path).collect()
    }

    #[test]
    fn every_route_is_described_with_its_methods_and_nothing_else_is() {
        let samples = [
            ("{stream}", "demo"),
            ("{seq}", "7"),
            ("{member}", "0x1111111111111111111111111111111111111111"),
            (
                "{session}",
                "00000000000000000000000000000000000000000000000000000000",
            ),
            ("{relay}", "r1"),
            ("{producer}", "00000000000000000000000000000000"),
            ("{key}", "0000000000000000"),
        ];
        let description: serde_json::Value =
            serde_json::from_str(include_str!("../web/static/openapi.json")).unwrap();
        let paths = description["paths"].as_object().unwrap();
        for (path, operations) in paths {
            let sample = samples
                .iter()
                .fold(path.clone(), |path, (name, value)| path.replace(name, value));
            let route = Route::parse(&sample).unwrap();
            let route = route.unwrap_or_else(|| panic!("{path} is described, but there is no such route"));
            let methods = ["get", "post", "put", "patch", "delete"];
            let described = methods.map(|method| operations.get(method).is_some());
            let allowed = methods.map(|method| {
                route
                    .allow()
                    .split(", ")
                    .any(|one| one.eq_ignore_ascii_case(method))
            });
            assert_eq!(described, allowed, "{path}: {methods:?}, described and allowed");
        }
        let braces = |path: &String| {
            let parts = path.split('/');
            let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
            parts.collect::<Vec<_>>().join("/")
        };
        let described: Vec<String> = paths.keys().map(braces).collect();
        let parsed = parsed_paths();
        assert!(parsed.len() > 10, "the arms are found: {parsed:?}");
        for path in parsed {
            assert!(
                described.contains(&path),
                "{path} is a route, but web/static/openapi.json has it not"
            );
        }
    }

    #[test]
    fn methods_are_allowed_by_resource() {
        let session = Route::parse(&format!("/v1/sessions/{}", "0".repeat(56)))
            .unwrap()
            .unwrap();
        assert!(session.allows("DELETE") && !session.allows("PATCH"));
        assert!(Route::Streams.allows("HEAD") && !Route::Streams.allows("PUT"));
    }
}

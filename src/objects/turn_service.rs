//! Credentials of the TURN provider, as an object keeps them: the Relays object those that all users share until they have
//! their own, an Account object those of its principal.
//!
//! Nobody waits for the provider: requests find what is there, and a renewal fetches what is due behind them. Each set says
//! at the provider whose it is, so that its use can be told from that of others, and be ended.

use crate::clock;
use crate::config::Config;
use crate::outbound::fetch::{Bounds, OutboundError, post_json};
use crate::storage::row::Row;
use crate::storage::schema;
use crate::storage::sql::own_json;
use crate::storage::sql::{first, run};
use serde_json::json;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use streamchain_edge_core::turn_service::{
    MAX_TURN_SERVICE_ANSWER_BYTES, TURN_SERVICE_LIFE_S, TURN_SERVICE_TIMEOUT_MS, TurnService,
};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::webrtc::IceServer;
use worker::{Env, Error, SqlStorage, State, console_error, console_warn};

/// What the provider is told of the set that all share.
const SHARED: &str = "shared";

/// The table that [`TurnServiceRows`] needs.
pub(super) const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS turn_service (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL)";

/// The provider as this object knows it.
#[derive(Clone)]
pub(super) struct TurnServiceRows {
    sql: SqlStorage,
    /// The statements that make the tables of an object that has none yet.
    schema: &'static [&'static str],
    service: Rc<RefCell<TurnService>>,
}

impl TurnServiceRows {
    /// Over an object's storage; goes on with what an earlier instance was given. The tables of `schema` are made with the
    /// first credentials.
    pub(super) fn load(sql: SqlStorage, schema: &'static [&'static str]) -> Self {
        let issued = || -> Result<TurnService, Error> {
            if !schema::has_table(&sql, "turn_service")? {
                return Ok(TurnService::default());
            }
            let json = first(&sql, "SELECT json FROM turn_service", vec![], Row::text)?;
            let issued = json.map(|json| own_json(&json)).transpose()?;
            Ok(issued.map(TurnService::restore).unwrap_or_default())
        };
        let service = issued().unwrap_or_else(|error| {
            console_error!("TURN service: {error}");
            TurnService::default()
        });
        let service = Rc::new(RefCell::new(service));
        Self { sql, schema, service }
    }

    /// When the credentials that are kept end; `None` without any.
    pub(super) fn ends(&self) -> Option<UnixMs> {
        self.service.borrow().ends()
    }

    /// The servers that clients may use now.
    pub(super) fn servers(&self, now: UnixMs) -> Vec<IceServer> {
        self.service.borrow().servers(now).to_vec()
    }

    /// Asks the provider, if there is one and it is time, behind whatever else goes on.
    pub(super) fn renew(&self, state: &State, env: &Env, now: UnixMs) {
        if let Some(asking) = self.begin(env, SHARED.to_owned(), now) {
            state.wait_until(asking);
        }
    }

    /// The request to the provider for credentials of this user, if it is time for one.
    pub(super) fn begin(
        &self,
        env: &Env,
        user: String,
        now: UnixMs,
    ) -> Option<impl Future<Output = ()> + 'static> {
        let config = Config::of(env).ok()?;
        if config.turn_service.is_none() || !self.service.borrow_mut().begin(now) {
            return None;
        }
        let this = self.clone();
        Some(async move { this.ask(&config, &user).await })
    }

    /// The request that was begun is not made after all; another one may be begun later.
    pub(super) fn give_up(&self, now: UnixMs) {
        self.service.borrow_mut().handle_failure(now);
    }

    async fn ask(&self, config: &Config, user: &str) {
        let Some(provider) = &config.turn_service else {
            return;
        };
        let body = json!({ "ttl": TURN_SERVICE_LIFE_S, "customIdentifier": user }).to_string();
        let bounds = Bounds {
            timeout_ms: TURN_SERVICE_TIMEOUT_MS,
            max_bytes: MAX_TURN_SERVICE_ANSWER_BYTES,
        };
        let bearer = format!("Bearer {}", provider.token);
        let answered = post_json(&provider.url, Some(&bearer), body, bounds).await;
        let now = clock::now();
        let reason = match answered {
            Ok((200..=299, body)) => match self.take(&body, now) {
                Ok(()) => return,
                Err(reason) => reason,
            },
            Ok((status, _)) => format!("HTTP {status}"),
            Err(OutboundError::Transport(reason)) => reason,
            Err(OutboundError::Timeout(ms)) => format!("no answer within {ms} ms"),
            Err(OutboundError::TooLarge(bytes)) => format!("an answer above {bytes} bytes"),
        };
        if self.service.borrow().is_asking() {
            self.service.borrow_mut().handle_failure(now);
        }
        console_warn!("TURN service: {reason}");
    }

    fn take(&self, body: &[u8], now: UnixMs) -> Result<(), String> {
        let mut service = self.service.borrow_mut();
        let issued = service
            .handle_answer(body, now)
            .map_err(|error| error.to_string())?;
        let json = serde_json::to_string(issued).map_err(|error| error.to_string())?;
        schema::upgrade(&self.sql, self.schema).map_err(|error| error.to_string())?;
        let kept = run(
            &self.sql,
            "INSERT OR REPLACE INTO turn_service VALUES (1, ?)",
            vec![json.into()],
        );
        kept.map_err(|error| error.to_string())
    }
}

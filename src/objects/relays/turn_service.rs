//! The TURN provider's credentials, kept here because there is one Relays object: one request serves all of the edge.
//!
//! Nobody waits for the provider: requests find what is there, and a renewal fetches what is due behind them.

use crate::clock;
use crate::config::Config;
use crate::outbound::fetch::{Bounds, OutboundError, post_json};
use crate::storage::row::Row;
use crate::storage::sql::own_json;
use crate::storage::sql::{first, run};
use std::cell::RefCell;
use std::rc::Rc;
use streamchain_edge_core::turn_service::{
    MAX_TURN_SERVICE_ANSWER_BYTES, TURN_SERVICE_LIFE_S, TURN_SERVICE_TIMEOUT_MS, TurnService,
};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::webrtc::IceServer;
use worker::{Env, Error, SqlStorage, State, console_error, console_warn};

/// The provider as this object knows it.
#[derive(Clone)]
pub(super) struct TurnServiceRows {
    sql: SqlStorage,
    service: Rc<RefCell<TurnService>>,
}

impl TurnServiceRows {
    /// Over an object's storage, whose tables are made; goes on with what an earlier instance was given.
    pub(super) fn load(sql: SqlStorage) -> Self {
        let issued = || -> Result<TurnService, Error> {
            let json = first(&sql, "SELECT json FROM turn_service", vec![], Row::text)?;
            let issued = json.map(|json| own_json(&json)).transpose()?;
            Ok(issued.map(TurnService::restore).unwrap_or_default())
        };
        let service = issued().unwrap_or_else(|error| {
            console_error!("TURN service: {error}");
            TurnService::default()
        });
        let service = Rc::new(RefCell::new(service));
        Self { sql, service }
    }

    /// The servers that clients may use now.
    pub(super) fn servers(&self, now: UnixMs) -> Vec<IceServer> {
        self.service.borrow().servers(now).to_vec()
    }

    /// Asks the provider, if there is one and it is time, behind whatever else goes on.
    pub(super) fn renew(&self, state: &State, env: &Env, now: UnixMs) {
        let Ok(config) = Config::of(env) else { return };
        if config.turn_service.is_some() && self.service.borrow_mut().begin(now) {
            let this = self.clone();
            state.wait_until(async move { this.ask(&config).await });
        }
    }

    async fn ask(&self, config: &Config) {
        let Some(provider) = &config.turn_service else {
            return;
        };
        let body = format!("{{\"ttl\":{TURN_SERVICE_LIFE_S}}}");
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
        let kept = run(
            &self.sql,
            "INSERT OR REPLACE INTO turn_service VALUES (1, ?)",
            vec![json.into()],
        );
        kept.map_err(|error| error.to_string())
    }
}

//! The Relays object: the one directory of relays. A shell over [`Directory`].
//!
//! Internal paths (the Worker has authenticated whoever asks): `PUT` and `DELETE /relays/{relay}`, `POST /choose`,
//! `POST /notices`, `POST /withdraw`, `GET /status`, `GET /ice-servers`.

use super::api::{ChooseRelay, NoticesPosted, PostNotices, Withdraw};
use super::tables::RelayRows;
use super::turn_service::TurnServiceRows;
use crate::config::Config;
use crate::objects::audit::api as audit;
use crate::objects::call::Method;
use crate::objects::{ensure_chain_objects, to_error};
use crate::problem::{Kind, Problem};
use crate::query;
use crate::request::from_json;
use crate::response::{Answer, json};
use crate::storage::sql;
use alloy_primitives::Address;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use streamchain_edge_core::directory::{Directory, post, renew};
use streamchain_protocol::ids::{Incarnation, RelayId, ShortId};
use streamchain_protocol::wire::{Notice, NoticeEvent, Registration};
use worker::{Date, DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

/// How often renewals make sure that the chain's objects go on, milliseconds.
const ENSURE_INTERVAL_MS: u64 = 30_000;

/// How often relays that fell silent long ago are dropped, milliseconds.
const FORGET_INTERVAL_MS: u64 = 60_000;

/// The directory of relays.
#[durable_object(fetch)]
pub struct Relays {
    state: State,
    env: Env,
    rows: RelayRows,
    directory: RefCell<Directory>,
    turn_service: TurnServiceRows,
    ensured: Cell<u64>,
    forgot: Cell<u64>,
}

impl DurableObject for Relays {
    fn new(state: State, env: Env) -> Self {
        let rows = RelayRows::new(state.storage().sql());
        let now_ms = Date::now().as_millis();
        let directory = rows.load(now_ms).unwrap_or_else(|error| {
            // Relays renew within seconds, so an empty directory fills by itself.
            console_error!("directory: {error}");
            Directory::default()
        });
        let directory = RefCell::new(directory);
        let turn_service = TurnServiceRows::load(state.storage().sql());
        Self {
            state,
            env,
            rows,
            directory,
            turn_service,
            ensured: Cell::new(0),
            forgot: Cell::new(now_ms),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        match self.answer(request).await {
            Ok(response) => Ok(response),
            Err(problem) => problem.into_response(),
        }
    }
}

impl Relays {
    async fn answer(&self, mut request: Request) -> Answer {
        let path = request.path();
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let now_ms = Date::now().as_millis();
        match (request.method(), path.as_slice()) {
            (Method::Put, ["relays", relay]) => {
                let mut registration: Registration = read(&mut request).await?;
                let key = query::parameter(&request.inner().url(), "key");
                registration.key = key.map(|id| id.parse()).transpose()?;
                self.register(relay.parse()?, registration, now_ms)
            }
            (Method::Delete, ["relays", relay]) => {
                let incarnation = query::parameter(&request.inner().url(), "incarnation");
                self.goodbye(&relay.parse()?, incarnation.map(|run| run.parse()).transpose()?)
            }
            (Method::Post, ["choose"]) => self.choose(&read(&mut request).await?, now_ms),
            (Method::Post, ["notices"]) => {
                let posted: PostNotices = read(&mut request).await?;
                let notices: Vec<_> = posted
                    .notices
                    .into_iter()
                    .map(|one| (one.relay, one.notice))
                    .collect();
                self.atomically(|| post(&self.rows, &notices, now_ms))?;
                let directory = self.directory.borrow();
                let relays = notices.iter().map(|(relay, _)| relay);
                let dead = relays.filter(|relay| !directory.is_alive(relay, now_ms)).cloned();
                json(200, &NoticesPosted { dead: dead.collect() })
            }
            (Method::Get, ["ice-servers"]) => {
                self.turn_service.renew(&self.state, &self.env, now_ms);
                json(200, &self.turn_service.servers(now_ms))
            }
            (Method::Post, ["withdraw"]) => {
                let notices = self.withdrawn(&read(&mut request).await?, now_ms);
                self.atomically(|| post(&self.rows, &notices, now_ms))?;
                json(200, &serde_json::json!({}))
            }
            (Method::Get, ["status"]) => {
                let config = Config::of(&self.env).map_err(to_error)?;
                let current = |relay: &RelayId| config.master.relay_key(relay).id();
                json(200, &self.directory.borrow().statuses(now_ms, current))
            }
            _ => Err(Problem::internal(format!(
                "the Relays object has no {}",
                path.join("/")
            ))),
        }
    }

    fn atomically<T>(&self, step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        sql::atomically(&self.state.storage(), step)
    }

    fn register(&self, relay: RelayId, registration: Registration, now_ms: u64) -> Answer {
        let (cursor, sessions) = (registration.cursor, registration.sessions);
        let is_new = self
            .directory
            .borrow_mut()
            .register(&relay, registration.clone(), now_ms)?;
        if is_new {
            self.rows.put(&relay, &registration)?;
            self.record(&relay, "relay.register");
        }
        let renewed = self.atomically(|| renew(&self.rows, &relay, cursor, sessions))?;
        self.keep_house(now_ms)?;
        json(200, &renewed)
    }

    fn withdrawn(&self, asked: &Withdraw, now_ms: u64) -> Vec<(RelayId, Notice)> {
        let directory = self.directory.borrow();
        let notice = |author: &Address| Notice {
            stream: ShortId::EVERY,
            event: NoticeEvent::Withdrawn {
                author: Some(*author),
                before: now_ms / 1_000,
                again: false,
            },
        };
        let to_relay = |relay: &RelayId| {
            let notices = asked.authors.iter().map(notice);
            notices.map(|notice| (relay.clone(), notice)).collect::<Vec<_>>()
        };
        directory.relays().flat_map(to_relay).collect()
    }

    /// What is done now and then, on a renewal.
    fn keep_house(&self, now_ms: u64) -> Result<(), Error> {
        self.turn_service.renew(&self.state, &self.env, now_ms);
        if now_ms.saturating_sub(self.ensured.get()) >= ENSURE_INTERVAL_MS {
            self.ensured.set(now_ms);
            let env = self.env.clone();
            self.state
                .wait_until(async move { ensure_chain_objects(&env).await });
        }
        if now_ms.saturating_sub(self.forgot.get()) >= FORGET_INTERVAL_MS {
            self.forgot.set(now_ms);
            let dead = self.directory.borrow_mut().forget_dead(now_ms);
            dead.iter().try_for_each(|relay| self.rows.drop_relay(relay))?;
        }
        Ok(())
    }

    fn goodbye(&self, relay: &RelayId, incarnation: Option<Incarnation>) -> Answer {
        if self.directory.borrow_mut().goodbye(relay, incarnation) {
            self.rows.drop_relay(relay)?;
            self.record(relay, "relay.goodbye");
        }
        json(200, &serde_json::json!({}))
    }

    fn record(&self, relay: &RelayId, action: &str) {
        let entry = audit::done(format!("relay:{relay}"), action, format!("/v1/relays/{relay}"));
        match Config::of(&self.env) {
            Ok(config) => self
                .state
                .wait_until(audit::record(self.env.clone(), config, entry)),
            Err(error) => console_error!("audit: {error}: {}", entry.to_json()),
        }
    }

    fn choose(&self, asked: &ChooseRelay, now_ms: u64) -> Answer {
        let chosen = self
            .directory
            .borrow_mut()
            .choose(asked.stream, asked.current.as_ref(), now_ms);
        match chosen {
            Some(mut chosen) => {
                chosen.ice_servers = self.turn_service.servers(now_ms);
                json(200, &chosen)
            }
            None => {
                let detail = "no relay has renewed within the last 10 s: start one, or try again in a moment";
                Err(Problem::new(Kind::NoRelay, detail).header("retry-after", "2"))
            }
        }
    }
}

async fn read<T: DeserializeOwned>(request: &mut Request) -> Result<T, Problem> {
    from_json(&request.bytes().await?)
}

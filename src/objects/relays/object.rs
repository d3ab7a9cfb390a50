//! The Relays object: the one directory of relays. A shell over [`Directory`].

use super::tables::{RelayRows, SCHEMA};
use crate::api::audit;
use crate::api::call::{Encoded, reply, serve};
use crate::api::relays::{
    ChooseRelay, FindLeader, Goodbye, NoticesPosted, PostNotices, ProviderIceServers, Register,
    RelayStatuses, RelaysRequest, WithdrawAuthors,
};
use crate::clock;
use crate::config::Config;
use crate::objects::turn_service::TurnServiceRows;
use crate::objects::watchdog::ensure_chain_objects;
use crate::problem::{Kind, Problem};
use crate::storage::sql;
use alloy_primitives::Address;
use std::cell::{Cell, RefCell};
use streamchain_edge_core::directory::{Directory, LeaderView, Mail, Placed, post, post_forgotten, renew};
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{RelayId, ShortId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::json;
use streamchain_protocol::wire::{Notice, NoticeEvent, Registration, RelayStatus, Renewed};
use worker::{DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

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
    mail: RefCell<Mail>,
    turn_service: TurnServiceRows,
    ensured: Cell<UnixMs>,
    forgot: Cell<UnixMs>,
}

impl DurableObject for Relays {
    fn new(state: State, env: Env) -> Self {
        let rows = RelayRows::new(state.storage().sql());
        let now = clock::now();
        let (directory, mail) = rows.load(now).unwrap_or_else(|error| {
            // Relays renew within seconds, so an empty directory fills by itself.
            console_error!("directory: {error}");
            Default::default()
        });
        let (directory, mail) = (RefCell::new(directory), RefCell::new(mail));
        let turn_service = TurnServiceRows::load(state.storage().sql(), SCHEMA);
        Self {
            state,
            env,
            rows,
            directory,
            mail,
            turn_service,
            ensured: Cell::new(UnixMs(0)),
            forgot: Cell::new(now),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, id| self.answer(asked, id)).await
    }
}

impl Relays {
    fn answer(&self, asked: RelaysRequest, id: &RequestId) -> Result<Vec<u8>, Problem> {
        let now = clock::now();
        match asked {
            RelaysRequest::Register(asked) => reply::<Register>(self.register(id, asked, now)),
            RelaysRequest::Goodbye(asked) => reply::<Goodbye>(self.goodbye(id, &asked)),
            RelaysRequest::ChooseRelay(asked) => reply::<ChooseRelay>(self.place(&asked, now)),
            RelaysRequest::FindLeader(asked) => reply::<FindLeader>(Ok(self.find_leader(&asked, now))),
            RelaysRequest::PostNotices(asked) => reply::<PostNotices>(self.post_notices(asked, now)),
            RelaysRequest::WithdrawAuthors(asked) => reply::<WithdrawAuthors>(self.withdraw(&asked, now)),
            RelaysRequest::RelayStatuses(_) => reply::<RelayStatuses>(self.statuses(now)),
            RelaysRequest::ProviderIceServers(_) => {
                self.turn_service.renew(&self.state, &self.env, now);
                reply::<ProviderIceServers>(Ok(self.turn_service.servers(now)))
            }
        }
    }

    fn find_leader(&self, asked: &FindLeader, now: UnixMs) -> LeaderView {
        let (leader, follower) = (&asked.leader, &asked.follower);
        let mut directory = self.directory.borrow_mut();
        match asked.lost {
            Some(stream) => directory.leader_reported_lost(leader, follower, stream, now),
            None => directory.leader_view(leader, follower, now),
        }
    }

    fn post_notices(&self, asked: PostNotices, now: UnixMs) -> Result<NoticesPosted, Problem> {
        let notices = asked.notices.into_iter().map(|one| (one.relay, one.notice));
        let notices = self.directory.borrow().readable(notices.collect());
        self.keep(&notices, now)?;
        let directory = self.directory.borrow();
        let relays = notices.iter().map(|(relay, _)| relay);
        let dead = relays.filter(|relay| !directory.is_alive(relay, now)).cloned();
        Ok(NoticesPosted { dead: dead.collect() })
    }

    fn withdraw(&self, asked: &WithdrawAuthors, now: UnixMs) -> Result<(), Problem> {
        let notices = self.withdrawals(asked, now);
        Ok(self.keep(&notices, now)?)
    }

    fn keep(&self, notices: &[(RelayId, Notice)], now: UnixMs) -> Result<(), Error> {
        let mut mail = self.mail.borrow_mut();
        notices.iter().for_each(|(relay, _)| mail.note(relay));
        self.atomically(|| post(&self.rows, notices, now))
    }

    /// The answer to a renewal. Nothing is read for a relay for which nothing waits.
    fn renewed(&self, relay: &RelayId, cursor: u64, sessions: u64) -> Result<Renewed, Error> {
        let mut mail = self.mail.borrow_mut();
        let mut renewed = match mail.idle_answer(relay, cursor, sessions) {
            Some(renewed) => renewed,
            None => {
                let renewed = self.atomically(|| renew(&self.rows, relay, cursor, sessions))?;
                mail.note_answer(relay, &renewed);
                renewed
            }
        };
        self.directory.borrow().thin_out(&mut renewed);
        Ok(renewed)
    }

    fn statuses(&self, now: UnixMs) -> Result<Encoded<Vec<RelayStatus>>, Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let current = |relay: &RelayId| config.master.relay_key(relay).id();
        Ok(Encoded::of(&self.directory.borrow().statuses(now, current)))
    }

    fn atomically<T>(&self, step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        sql::atomically(&self.state.storage(), step)
    }

    fn register(&self, id: &RequestId, asked: Register, now: UnixMs) -> Result<Encoded<Renewed>, Problem> {
        let relay = &asked.relay;
        let mut registration: Registration = json::from_bytes(&asked.registration)?;
        registration.key = Some(asked.key);
        registration.location = registration.location.or(asked.location);
        let (cursor, sessions) = (registration.cursor, registration.sessions);
        let was_forgotten = self.directory.borrow().was_forgotten(relay, &registration);
        let is_new = self.directory.borrow_mut().register(relay, registration, now)?;
        if is_new {
            if let Some(registration) = self.directory.borrow().registration(relay) {
                self.rows.put(relay, registration)?;
            }
            self.record(id, relay, "relay.register");
        }
        if was_forgotten {
            self.mail.borrow_mut().note(relay);
            self.atomically(|| post_forgotten(&self.rows, relay, now))?;
        }
        let renewed = self.renewed(relay, cursor, sessions)?;
        self.keep_house(id, now)?;
        Ok(Encoded::of(&renewed))
    }

    fn withdrawals(&self, asked: &WithdrawAuthors, now: UnixMs) -> Vec<(RelayId, Notice)> {
        let directory = self.directory.borrow();
        let notice = |author: &Address| Notice {
            stream: ShortId::EVERY,
            event: NoticeEvent::Withdrawn {
                author: Some(*author),
                authors: Vec::new(),
                before: now.to_sec(),
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
    fn keep_house(&self, id: &RequestId, now: UnixMs) -> Result<(), Error> {
        self.turn_service.renew(&self.state, &self.env, now);
        if now.since(self.ensured.get()) >= ENSURE_INTERVAL_MS {
            self.ensured.set(now);
            let (env, id) = (self.env.clone(), id.clone());
            self.state
                .wait_until(async move { ensure_chain_objects(&env, &id).await });
        }
        if now.since(self.forgot.get()) >= FORGET_INTERVAL_MS {
            self.forgot.set(now);
            let dead = self.directory.borrow_mut().forget_dead(now);
            dead.iter().try_for_each(|relay| self.drop_relay(relay))?;
        }
        Ok(())
    }

    fn goodbye(&self, id: &RequestId, asked: &Goodbye) -> Result<(), Problem> {
        let relay = &asked.relay;
        if self.directory.borrow_mut().goodbye(relay, asked.incarnation) {
            self.drop_relay(relay)?;
            self.record(id, relay, "relay.goodbye");
        }
        Ok(())
    }

    fn drop_relay(&self, relay: &RelayId) -> Result<(), Error> {
        self.mail.borrow_mut().forget(relay);
        self.rows.drop_relay(relay)
    }

    fn record(&self, id: &RequestId, relay: &RelayId, action: &str) {
        let entry = audit::done(format!("relay:{relay}"), action, format!("/v1/relays/{relay}"));
        match Config::of(&self.env) {
            Ok(config) => self
                .state
                .wait_until(audit::record(self.env.clone(), id.clone(), config, entry)),
            Err(error) => console_error!("request {id}: audit: {error}: {}", entry.to_json()),
        }
    }

    fn place(&self, asked: &ChooseRelay, now: UnixMs) -> Result<Placed, Problem> {
        let placed = self.directory.borrow_mut().place(&asked.wanted, now);
        let mut placed = placed.ok_or_else(|| {
            let detail = "no relay has renewed within the last 10 s: start one, or try again in a moment";
            Problem::new(Kind::NoRelay, detail).header("retry-after", "2")
        })?;
        placed.chosen.ice_servers = self.turn_service.servers(now);
        Ok(placed)
    }
}

//! The Account object: one per principal, named by its address. Which of its tokens count, its API keys, the nonces it
//! used. A shell over [`Account`].

use crate::api::account::{
    AccountRequest, AddKey, CheckCredentials, Checked, Keys, ListKeys, OwnIceServers, RemoveKey, Revoke,
    SignIn, SignedIn,
};
use crate::api::call::{reply, serve};
use crate::api::limits;
use crate::clock;
use crate::config::Config;
use crate::objects::turn_service::{self, TurnServiceRows};
use crate::problem::Problem;
use crate::storage::row::Row;
use crate::storage::schema;
use crate::storage::sql::{self, own_json};
use alloy_primitives::hex;
use std::cell::OnceCell;
use std::time::Duration;
use streamchain_edge_core::account::{Account as Kept, AccountError};
use streamchain_edge_core::rate_policy::Policy;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::webrtc::IceServer;
use worker::{DurableObject, Env, Error, Request, Response, State, Storage, console_error, durable_object};

/// Made with the first thing that is kept: most principals are guests and never have any.
const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL)",
    turn_service::TABLE,
];

/// One principal.
#[durable_object(alarm)]
pub struct Account {
    state: State,
    env: Env,
    /// Read when it is first needed.
    turn_service: OnceCell<TurnServiceRows>,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            turn_service: OnceCell::new(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, id| {
            if let AccountRequest::OwnIceServers(asked) = asked {
                return reply::<OwnIceServers>(Ok(self.own_ice_servers(asked, id)));
            }
            let is_change = !matches!(
                asked,
                AccountRequest::CheckCredentials(_) | AccountRequest::ListKeys(_)
            );
            let answer = self.answer(asked)?;
            if is_change {
                self.set_end().await?;
            }
            Ok(answer)
        })
        .await
    }

    /// Deletes what matters no more.
    async fn alarm(&self) -> worker::Result<Response> {
        let now = clock::now();
        let has_credentials = self.turn_service().ends().is_some_and(|end| end > now);
        match self.load()?.is_over(now.to_sec()) && !has_credentials {
            true => self.state.storage().delete_all().await?,
            false => self.set_end().await?,
        }
        Response::empty()
    }
}

impl Account {
    fn answer(&self, asked: AccountRequest) -> Result<Vec<u8>, Problem> {
        let now = clock::now();
        let now_s = now.to_sec();
        match asked {
            AccountRequest::CheckCredentials(asked) => reply::<CheckCredentials>(self.check(&asked, now)),
            AccountRequest::SignIn(asked) => {
                let issued = self.change(|kept| kept.sign_in(&asked.nonce, asked.expires, now_s));
                reply::<SignIn>(issued.map(|issued| SignedIn { issued }))
            }
            AccountRequest::ListKeys(_) => reply::<ListKeys>(self.keys()),
            AccountRequest::AddKey(asked) => {
                reply::<AddKey>(self.change(|kept| kept.add_key(asked.key, now)))
            }
            AccountRequest::RemoveKey(asked) => {
                reply::<RemoveKey>(self.change(|kept| kept.remove_key(asked.key)))
            }
            AccountRequest::Revoke(asked) => reply::<Revoke>(self.change(|kept| {
                kept.revoke(asked.keys, now_s);
                Ok(())
            })),
            // It was answered before: it changes nothing of the account's own.
            AccountRequest::OwnIceServers(_) => reply::<OwnIceServers>(Ok(Vec::new())),
        }
    }

    fn turn_service(&self) -> &TurnServiceRows {
        let load = || TurnServiceRows::load(self.state.storage().sql(), SCHEMA);
        self.turn_service.get_or_init(load)
    }

    /// What there is; the provider is asked behind the answer, if it is time and the network has a share left.
    fn own_ice_servers(&self, asked: OwnIceServers, id: &RequestId) -> Vec<IceServer> {
        let (service, now) = (self.turn_service().clone(), clock::now());
        let OwnIceServers { account, client } = asked;
        if let Some(asking) = service.begin(&self.env, hex::encode_prefixed(account), now) {
            let (env, id, storage) = (self.env.clone(), id.clone(), self.state.storage());
            let service = service.clone();
            self.state.wait_until(async move {
                if !has_share(&env, &id, &client).await {
                    return service.give_up(now);
                }
                asking.await;
                if let Err(error) = keep_until_end(&storage, &service).await {
                    console_error!("request {id}: TURN service: {error}");
                }
            });
        }
        service.servers(now)
    }

    fn keys(&self) -> Result<Keys, Problem> {
        let kept = self.load()?;
        let (keys, ids) = (kept.keys().to_vec(), kept.key_ids().collect());
        Ok(Keys { keys, ids })
    }

    fn check(&self, asked: &CheckCredentials, now: UnixMs) -> Result<Checked, Problem> {
        let kept = self.load()?;
        let found = match (asked.key, asked.hash) {
            (Some(id), Some(hash)) => kept.check_key(id, hash, now).map(Some),
            (Some(id), None) => kept.key(id, now).map(Some),
            (None, _) => kept.check_token(asked.issued.unwrap_or_default()).map(|()| None),
        };
        let checked = match found {
            Ok(key) => Checked {
                refused: None,
                scope: key.map(|key| key.scope.clone()),
                expires: key.and_then(|key| key.expires),
            },
            Err(refused) => Checked {
                refused: Some(refused.to_string()),
                scope: None,
                expires: None,
            },
        };
        Ok(checked)
    }

    /// Sets the alarm for when nothing that is kept may matter any more.
    async fn set_end(&self) -> Result<(), Error> {
        let (storage, now) = (self.state.storage(), clock::now());
        if !schema::has_table(&storage.sql(), "account")? {
            return Ok(());
        }
        let own = self.load()?.ends(now.to_sec()).map(|end| end.to_ms());
        let credentials = self.turn_service().ends();
        match own.max(credentials) {
            None => storage.delete_alarm().await,
            Some(end) => storage.set_alarm(Duration::from_millis(end.since(now))).await,
        }
    }

    fn load(&self) -> Result<Kept, Error> {
        let sql = self.state.storage().sql();
        if !schema::has_table(&sql, "account")? {
            return Ok(Kept::default());
        }
        let json = sql::first(&sql, "SELECT json FROM account", vec![], Row::text)?;
        json.map_or(Ok(Kept::default()), |json| own_json(&json))
    }

    /// One step of the machine. No await between reading and writing, so nothing comes between.
    fn change<T>(&self, step: impl FnOnce(&mut Kept) -> Result<T, AccountError>) -> Result<T, Problem> {
        let mut kept = self.load()?;
        let outcome = step(&mut kept)?;
        let sql = self.state.storage().sql();
        let json = serde_json::to_string(&kept).map_err(Problem::internal)?;
        schema::upgrade(&sql, SCHEMA)?;
        sql::run(
            &sql,
            "INSERT OR REPLACE INTO account VALUES (1, ?)",
            vec![json.into()],
        )?;
        Ok(outcome)
    }
}

/// Counts one request to the provider for the network that causes it.
async fn has_share(env: &Env, id: &RequestId, client: &str) -> bool {
    let Ok(config) = Config::of(env) else {
        return false;
    };
    limits::take(env, id, &config, Policy::TurnAddress, client)
        .await
        .is_ok()
}

/// Has the alarm come when the credentials end, unless it comes later for what else is kept.
async fn keep_until_end(storage: &Storage, service: &TurnServiceRows) -> Result<(), Error> {
    let Some(end) = service.ends() else {
        return Ok(());
    };
    let end = i64::try_from(end.0).unwrap_or(i64::MAX);
    match storage.get_alarm().await? {
        Some(set) if set >= end => Ok(()),
        _ => {
            let wait = UnixMs(end.unsigned_abs()).since(clock::now());
            storage.set_alarm(Duration::from_millis(wait)).await
        }
    }
}

//! The Account object: one per principal, named by its address. Which of its tokens count, its API keys, the nonces it
//! used. A shell over [`Account`].

use crate::api::account::{
    AccountRequest, AddKey, CheckCredentials, Checked, Keys, ListKeys, RemoveKey, Revoke, SignIn, SignedIn,
};
use crate::api::call::{reply, serve};
use crate::clock;
use crate::problem::Problem;
use crate::storage::row::Row;
use crate::storage::schema;
use crate::storage::sql::{self, own_json};
use std::time::Duration;
use streamchain_edge_core::account::{Account as Kept, AccountError};
use streamchain_protocol::time::UnixMs;
use worker::{DurableObject, Env, Error, Request, Response, State, durable_object};

/// Made with the first thing that is kept: most principals are guests and never have any.
const SCHEMA: &[&str] =
    &["CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL)"];

/// One principal.
#[durable_object(alarm)]
pub struct Account {
    state: State,
}

impl DurableObject for Account {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| {
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
        match self.load()?.is_over(clock::now().to_sec()) {
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
        }
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
        match self.load()?.ends(now.to_sec()) {
            None => storage.delete_alarm().await,
            Some(end) => {
                let wait = Duration::from_millis(end.to_ms().since(now));
                storage.set_alarm(wait).await
            }
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

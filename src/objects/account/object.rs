//! The Account object: one per principal, named by its address. Which of its tokens count, its API keys, the nonces it
//! used. A shell over [`Account`].
//!
//! Internal paths (the Worker has authenticated whoever asks): `POST /check`, `POST /sign-in`, `GET` and `POST /keys`,
//! `DELETE /keys/{id}`, `POST /revoke`.

use super::api::{CheckCredentials, Checked, Keys, Revoke, SignIn, SignedIn};
use crate::objects::call::Method;
use crate::objects::own_json;
use crate::problem::Problem;
use crate::request::from_json;
use crate::response::{Answer, json};
use crate::storage::row::Row;
use crate::storage::sql;
use serde::de::DeserializeOwned;
use streamchain_edge_core::account::{Account as Kept, AccountError, KeptKey};
use worker::{Date, DurableObject, Env, Error, Request, Response, State, durable_object};

/// Made with the first thing that is kept: most principals are guests and never have any.
const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL)";

/// One principal.
#[durable_object(fetch)]
pub struct Account {
    state: State,
}

impl DurableObject for Account {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        match self.answer(request).await {
            Ok(response) => Ok(response),
            Err(problem) => problem.into_response(),
        }
    }
}

impl Account {
    async fn answer(&self, mut request: Request) -> Answer {
        let path = request.path();
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let now_ms = Date::now().as_millis();
        match (request.method(), path.as_slice()) {
            (Method::Post, ["check"]) => self.check(&read(&mut request).await?, now_ms),
            (Method::Post, ["sign-in"]) => {
                let asked: SignIn = read(&mut request).await?;
                let issued =
                    self.change(|kept| kept.sign_in(&asked.nonce, asked.expires_s, now_ms / 1_000))?;
                json(200, &SignedIn { issued })
            }
            (Method::Get, ["keys"]) => {
                let kept = self.load()?;
                let (keys, ids) = (kept.keys().to_vec(), kept.key_ids().collect());
                json(200, &Keys { keys, ids })
            }
            (Method::Post, ["keys"]) => {
                let key: KeptKey = read(&mut request).await?;
                self.change(|kept| kept.add_key(key, now_ms))?;
                json(201, &serde_json::json!({}))
            }
            (Method::Delete, ["keys", id]) => {
                let id = id.parse()?;
                self.change(|kept| kept.remove_key(id))?;
                json(200, &serde_json::json!({}))
            }
            (Method::Post, ["revoke"]) => {
                let asked: Revoke = read(&mut request).await?;
                self.change(|kept| {
                    kept.revoke(asked.keys, now_ms / 1_000);
                    Ok(())
                })?;
                json(200, &serde_json::json!({}))
            }
            _ => Err(Problem::internal(format!(
                "the Account object has no {}",
                path.join("/")
            ))),
        }
    }

    fn check(&self, asked: &CheckCredentials, now_ms: u64) -> Answer {
        let kept = self.load()?;
        let found = match (asked.key, asked.hash) {
            (Some(id), Some(hash)) => kept.check_key(id, hash, now_ms).map(Some),
            (Some(id), None) => kept.key(id, now_ms).map(Some),
            (None, _) => kept.check_token(asked.issued.unwrap_or(0)).map(|()| None),
        };
        let checked = match found {
            Ok(key) => Checked {
                refused: None,
                scope: key.map(|key| key.scope.clone()),
                expires: key.and_then(|key| key.expires).map(|time| time.0),
            },
            Err(refused) => Checked {
                refused: Some(refused.to_string()),
                scope: None,
                expires: None,
            },
        };
        json(200, &checked)
    }

    fn load(&self) -> Result<Kept, Error> {
        let sql = self.state.storage().sql();
        let table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'account'";
        if sql::first(&sql, table, vec![], Row::number)? != Some(1) {
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
        sql::run(&sql, SCHEMA, vec![])?;
        sql::run(
            &sql,
            "INSERT OR REPLACE INTO account VALUES (1, ?)",
            vec![json.into()],
        )?;
        Ok(outcome)
    }
}

async fn read<T: DeserializeOwned>(request: &mut Request) -> Result<T, Problem> {
    from_json(&request.bytes().await?)
}

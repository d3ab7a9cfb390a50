//! The Account object: one per principal, named by its address. Which of its tokens count, its API keys, the nonces it
//! used. A shell over [`Account`].
//!
//! Internal paths (the Worker has authenticated whoever asks): `POST /check`, `POST /sign-in`, `GET` and `POST /keys`,
//! `DELETE /keys/{id}`, `POST /revoke`.

use super::call::Method;
use super::{own_json, sql};
use crate::http::{Answer, from_json, json};
use crate::problem::Problem;
use crate::row::Row;
use alloy_primitives::B256;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use streamchain_edge_core::account::{Account as Kept, AccountError, KeptKey};
use streamchain_protocol::auth::Scope;
use streamchain_protocol::ids::KeyId;
use worker::{Date, DurableObject, Env, Error, Request, Response, State, durable_object};

/// Made with the first thing that is kept: most principals are guests and never have any.
const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL)";

/// `POST /check`
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CheckCredentials {
    /// When the principal's own token was issued, Unix seconds.
    pub issued: Option<u64>,
    /// The key behind a service's token, or the key itself.
    pub key: Option<KeyId>,
    /// Of the key itself: SHA-256 of its secret.
    pub hash: Option<B256>,
}

/// The answer to [`CheckCredentials`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Checked {
    /// Why they are refused; `None` when they count.
    pub refused: Option<String>,
    /// Of a key: what it opens.
    pub scope: Option<Scope>,
    /// Of a key: when it ends, Unix milliseconds.
    pub expires: Option<u64>,
}

/// `POST /sign-in`: uses up a nonce.
#[derive(Debug, Serialize, Deserialize)]
pub struct SignIn {
    /// The nonce, as it was given out.
    pub nonce: String,
    /// Its last second, Unix time.
    pub expires_s: u64,
}

/// The answer to [`SignIn`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SignedIn {
    /// When the token may say that it was issued, Unix seconds.
    pub issued: u64,
}

/// The answer to `GET /keys`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Keys {
    /// Its keys.
    pub keys: Vec<KeptKey>,
    /// Their ids, and those of the keys that were removed last.
    pub ids: Vec<KeyId>,
}

/// `POST /revoke`
#[derive(Debug, Serialize, Deserialize)]
pub struct Revoke {
    /// Whether its keys go too.
    pub keys: bool,
}

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

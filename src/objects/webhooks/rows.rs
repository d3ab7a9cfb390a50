//! The webhooks of a stream, in memory and in the object's SQLite.
//!
//! What always holds: what is in memory is in the rows, or marked as unsaved; should a row fail to be written, memory is dropped.

use crate::problem::{Kind, Problem};
use crate::storage::row::Row;
use crate::storage::schema;
use crate::storage::sql::{self, own_json};
use std::cell::RefCell;
use streamchain_edge_core::webhooks::Webhook;
use streamchain_protocol::ids::WebhookId;
use worker::{Error, SqlStorage};

/// Made with the first webhook.
const SCHEMA: &[&str] =
    &["CREATE TABLE IF NOT EXISTS webhooks (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID"];

/// One webhook in memory.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) webhook: Webhook,
    /// Whether its row is behind.
    is_unsaved: bool,
    /// Whether nothing was behind its cursor, and the object was not woken since.
    pub(super) is_caught_up: bool,
}

/// All webhooks of the stream.
pub(super) struct Rows {
    sql: SqlStorage,
    kept: RefCell<Option<Vec<Kept>>>,
}

impl Rows {
    pub(super) fn new(sql: SqlStorage) -> Self {
        let kept = RefCell::new(None);
        Self { sql, kept }
    }

    fn load(&self) -> Result<Vec<Kept>, Error> {
        if !schema::has_table(&self.sql, "webhooks")? {
            return Ok(Vec::new());
        }
        let query = "SELECT json FROM webhooks ORDER BY id";
        sql::all(&self.sql, query, Vec::new(), |row: &mut Row| {
            Ok(Kept {
                webhook: own_json(&row.text()?)?,
                is_unsaved: false,
                is_caught_up: false,
            })
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<Kept>) -> T) -> Result<T, Error> {
        let mut kept = self.kept.borrow_mut();
        let all = match kept.take() {
            Some(all) => all,
            None => self.load()?,
        };
        Ok(look(kept.insert(all)))
    }

    /// The webhooks, as they are.
    pub(super) fn all(&self) -> Result<Vec<Kept>, Error> {
        self.with(|all| all.clone())
    }

    /// One webhook; `None` when it is not there.
    pub(super) fn get(&self, id: WebhookId) -> Result<Option<Kept>, Error> {
        self.with(|all| all.iter().find(|kept| kept.webhook.id == id).cloned())
    }

    /// Writes a new one.
    pub(super) fn add(&self, webhook: Webhook) -> Result<(), Error> {
        schema::upgrade(&self.sql, SCHEMA)?;
        let id = webhook.id;
        self.with(|all| {
            all.push(Kept {
                webhook,
                is_unsaved: true,
                is_caught_up: false,
            });
        })?;
        self.save(id)
    }

    /// Changes one in memory; its row follows with [`Self::save`].
    pub(super) fn change<T>(
        &self,
        id: WebhookId,
        change: impl FnOnce(&mut Webhook) -> T,
    ) -> Result<T, Problem> {
        let changed = self.with(|all| {
            let kept = all.iter_mut().find(|kept| kept.webhook.id == id)?;
            let before = kept.webhook.clone();
            let outcome = change(&mut kept.webhook);
            kept.is_unsaved |= before != kept.webhook;
            kept.is_caught_up = false;
            Some(outcome)
        })?;
        changed.ok_or_else(|| no_such_webhook(id))
    }

    /// Notes that nothing is behind the cursor of one, or (`None`) that there may be something for all.
    pub(super) fn mark_caught_up(&self, id: Option<WebhookId>) -> Result<(), Error> {
        self.with(|all| {
            for kept in all.iter_mut() {
                match id {
                    Some(id) => kept.is_caught_up |= kept.webhook.id == id,
                    None => kept.is_caught_up = false,
                }
            }
        })
    }

    /// Writes the row of one, if it is behind.
    pub(super) fn save(&self, id: WebhookId) -> Result<(), Error> {
        let saved = self.with(|all| {
            let Some(kept) = all
                .iter_mut()
                .find(|kept| kept.webhook.id == id && kept.is_unsaved)
            else {
                return Ok(());
            };
            kept.is_unsaved = false;
            let json = serde_json::to_string(&kept.webhook)?;
            sql::run(
                &self.sql,
                "INSERT OR REPLACE INTO webhooks VALUES (?, ?)",
                vec![id.to_hex().into(), json.into()],
            )
        })?;
        if saved.is_err() {
            self.kept.replace(None);
        }
        saved
    }

    /// Drops one.
    pub(super) fn remove(&self, id: WebhookId) -> Result<(), Error> {
        self.with(|all| all.retain(|kept| kept.webhook.id != id))?;
        sql::run(
            &self.sql,
            "DELETE FROM webhooks WHERE id = ?",
            vec![id.to_hex().into()],
        )
    }

    /// All rows are gone with the object's storage.
    pub(super) fn forget(&self) {
        self.kept.replace(None);
    }
}

pub(super) fn no_such_webhook(id: WebhookId) -> Problem {
    Problem::new(Kind::NoSuchWebhook, format!("the stream has no webhook {id}"))
}

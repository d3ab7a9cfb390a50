//! `/v1/streams/{stream}/webhooks`: URLs that a stream's events are posted to. For those who may manage the stream.

use crate::api::call::Handle;
use crate::api::limits;
use crate::api::stream::GetState;
use crate::api::webhooks::{
    AddWebhook, ChangeWebhook, ListWebhooks, RemoveWebhook, WebhooksRequest, webhooks_object,
};
use crate::auth::principal::{self as auth, PrincipalKind};
use crate::config::is_development_chain;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::random;
use crate::request::{Call, MAX_JSON_BYTES};
use crate::response::{Answer, done, json, put_member};
use serde::Deserialize;
use serde_json::{Value, json};
use streamchain_edge_core::rate_policy::Policy;
use streamchain_edge_core::stream_log::Cursor;
use streamchain_edge_core::webhooks::{
    Creator, Kinds, NewWebhook, SecretRef, Stage, Target, TargetRules, Webhook,
};
use streamchain_protocol::auth::{Right, WebhookSecret};
use streamchain_protocol::ids::{ShortId, StreamRef, WebhookId};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    url: String,
    events: Option<Kinds>,
    after: Option<String>,
}

/// What a webhook can be made to do.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum WantedState {
    Active,
    Paused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Change {
    url: Option<String>,
    events: Option<Kinds>,
    state: Option<WantedState>,
    #[serde(default)]
    rotate_secret: bool,
}

/// `POST /v1/streams/{stream}/webhooks`: the answer is the only one that shows the secret.
pub(crate) async fn create(mut call: Call, at: PathParameters) -> Answer {
    let stream = &at.stream()?;
    call.need_type("application/json")?;
    let creator = need_creator(&call, stream).await?;
    let wanted: Wanted = call.json(MAX_JSON_BYTES).await?;
    let url = checked_url(&call, &wanted.url)?;
    let account = creator.account.to_string();
    let policy = Policy::WebhooksAccount;
    limits::take(&call.env, &call.id, &call.config, policy, &account).await?;
    let short = call.short(stream);
    let state = call.stream(short)?.call(GetState {}).await?;
    let here = Cursor {
        event: state.events.next - 1,
        seq: state.head,
    };
    let cursor = match wanted.after {
        None => here,
        Some(text) => text
            .parse()
            .map_err(|error| Problem::new(Kind::BadRequest, format!("after: {error}")))?,
    };
    if cursor.seq > here.seq || cursor.event > here.event {
        let detail = format!("after: {cursor} is not reached yet: the stream is at {here}");
        return Err(Problem::new(Kind::BadRequest, detail));
    }
    let id = WebhookId(random::bytes()?);
    let (secret, text) = secret_of(&call, id, 1);
    let new = NewWebhook {
        id,
        stream: short,
        url,
        kinds: wanted.events.unwrap_or(Kinds::ALL),
        creator,
        secret,
        cursor,
    };
    let webhook = object(&call, short)?.call(AddWebhook { new }).await?;
    let mut shown = describe(&webhook);
    put_member(&mut shown, "secret", &text.to_text());
    json(201, &shown)
}

/// `GET /v1/streams/{stream}/webhooks`
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let (call, stream) = (&call, &at.stream()?);
    auth::need(call, stream, Right::Manage).await?;
    let webhooks = object(call, call.short(stream))?.call(ListWebhooks {}).await?;
    let shown: Vec<Value> = webhooks.iter().map(describe).collect();
    json(200, &json!({ "webhooks": shown }))
}

/// `PATCH /v1/streams/{stream}/webhooks/{webhook}`: changes what the body names. Whoever resumes a webhook is the one with
/// whose rights it reads from then on.
pub(crate) async fn change(mut call: Call, at: PathParameters) -> Answer {
    let (stream, id) = (&at.stream()?, at.webhook()?);
    call.need_type("application/json")?;
    let creator = need_creator(&call, stream).await?;
    let change: Change = call.json(MAX_JSON_BYTES).await?;
    let url = change.url.map(|url| checked_url(&call, &url)).transpose()?;
    let short = call.short(stream);
    let mut secret = None;
    if change.rotate_secret {
        let account = creator.account.to_string();
        let policy = Policy::WebhooksAccount;
        limits::take(&call.env, &call.id, &call.config, policy, &account).await?;
        let all = object(&call, short)?.call(ListWebhooks {}).await?;
        let version = all
            .iter()
            .find(|one| one.id == id)
            .map_or(1, |one| one.secret.version);
        secret = Some(secret_of(&call, id, version + 1));
    }
    let asked = ChangeWebhook {
        id,
        url,
        kinds: change.events,
        resume: (change.state == Some(WantedState::Active)).then_some(creator),
        pause: change.state == Some(WantedState::Paused),
        secret: secret.as_ref().map(|(kept, _)| kept.clone()),
    };
    let webhook = object(&call, short)?.call(asked).await?;
    let mut shown = describe(&webhook);
    if let Some((_, text)) = secret {
        put_member(&mut shown, "secret", &text.to_text());
    }
    json(200, &shown)
}

/// `DELETE /v1/streams/{stream}/webhooks/{webhook}`
pub(crate) async fn remove(call: Call, at: PathParameters) -> Answer {
    let (call, stream, id) = (&call, &at.stream()?, at.webhook()?);
    auth::need(call, stream, Right::Manage).await?;
    object(call, call.short(stream))?
        .call(RemoveWebhook { id })
        .await?;
    done(200)
}

fn object(call: &Call, stream: ShortId) -> worker::Result<Handle<WebhooksRequest>> {
    webhooks_object(&call.env, &call.id, stream)
}

/// Whose rights the webhook has: those of whoever asks, who may manage the stream and read it.
async fn need_creator(call: &Call, stream: &StreamRef) -> Result<Creator, Problem> {
    let permit = auth::need(call, stream, Right::Manage).await?;
    if !permit.rights.has(Right::Read) {
        let detail = "a webhook reads the stream: this needs the right to read it";
        return Err(Problem::new(Kind::Forbidden, detail).with("right", Right::Read));
    }
    let principal = permit.principal.filter(|one| one.kind != PrincipalKind::Guest);
    let Some(principal) = principal else {
        return Err(Problem::new(
            Kind::Forbidden,
            "webhooks are for accounts, not for guests",
        ));
    };
    Ok(Creator {
        account: principal.account,
        operator: principal.operator,
        key: principal.claims.key.map(|key| key.id),
        issued: principal.claims.iat,
        end: principal.claims.end,
        limit: principal.scope.on(call.short(stream)),
    })
}

fn checked_url(call: &Call, url: &str) -> Result<String, Problem> {
    let host = call.host();
    let rules = TargetRules {
        is_development: is_development_chain(call.config.chain_id),
        own_host: Some(&host),
    };
    let target =
        Target::parse(url, rules).map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))?;
    Ok(target.as_str().to_owned())
}

fn secret_of(call: &Call, id: WebhookId, version: u64) -> (SecretRef, WebhookSecret) {
    let secret = WebhookSecret::of(&call.config.master, id, version);
    let fingerprint = secret.fingerprint();
    (SecretRef { version, fingerprint }, secret)
}

fn describe(webhook: &Webhook) -> Value {
    let (state, reason) = match webhook.stage {
        Stage::Paused(reason) => ("paused", Some(reason)),
        _ => ("active", None),
    };
    let mut shown = json!({
        "id": webhook.id, "url": webhook.url, "events": webhook.kinds, "state": state, "since": webhook.since,
        "cursor": webhook.cursor.to_string(), "created": webhook.created, "account": webhook.creator.account,
        "failures": webhook.failures,
    });
    if let Some(reason) = reason {
        put_member(&mut shown, "reason", &reason);
    }
    if let Some(error) = &webhook.last_error {
        put_member(&mut shown, "lastError", error);
        if reason.is_none() {
            put_member(&mut shown, "retryAt", &webhook.retry_at);
        }
    }
    if let Some(time) = webhook.last_success {
        put_member(&mut shown, "lastSuccess", &time);
    }
    shown
}

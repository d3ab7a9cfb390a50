//! What a Webhooks object is asked. There is one for each stream that has webhooks, named by the digits of its short id.

use crate::api::call::{Handle, requests, wire_as_json, wire_by_field};
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::webhooks::{Creator, Kinds, NewWebhook, SecretRef, Webhook};
use streamchain_protocol::ids::{ShortId, WebhookId};
use worker::Env;

requests! {
    /// What a Webhooks object is asked. The Worker has checked that whoever asks may manage the stream.
    WebhooksRequest {
        /// Adds a webhook.
        AddWebhook -> Webhook,
        /// All webhooks of the stream.
        ListWebhooks -> Vec<Webhook>,
        /// Changes a webhook.
        ChangeWebhook -> Webhook,
        /// Removes a webhook.
        RemoveWebhook -> (),
        /// There is something for them.
        WakeWebhooks -> (),
    }
}

wire_by_field! {
    AddWebhook { new }
    ListWebhooks {}
    ChangeWebhook { id, url, kinds, resume, pause, secret }
    RemoveWebhook { id }
    WakeWebhooks {}
}

wire_as_json!(Webhook, Vec<Webhook>);

/// The object of one stream's webhooks.
pub(crate) fn webhooks_object(
    env: &Env,
    id: &RequestId,
    stream: ShortId,
) -> worker::Result<Handle<WebhooksRequest>> {
    Ok(Handle::new(
        env.durable_object("WEBHOOKS")?.get_by_name(&stream.to_hex())?,
        id,
    ))
}

/// A webhook to be added.
#[derive(Debug)]
pub(crate) struct AddWebhook {
    /// The webhook.
    pub new: NewWebhook,
}

/// Asks for the webhooks.
#[derive(Debug)]
pub(crate) struct ListWebhooks {}

/// A change of a webhook: of what is there.
#[derive(Debug)]
pub(crate) struct ChangeWebhook {
    /// The webhook.
    pub id: WebhookId,
    /// Where its deliveries go from now on.
    pub url: Option<String>,
    /// Which events it is for from now on.
    pub kinds: Option<Kinds>,
    /// It delivers again, with these rights.
    pub resume: Option<Creator>,
    /// It delivers nothing until it is resumed.
    pub pause: bool,
    /// Its new secret.
    pub secret: Option<SecretRef>,
}

/// A webhook to be removed.
#[derive(Debug)]
pub(crate) struct RemoveWebhook {
    /// The webhook.
    pub id: WebhookId,
}

/// The stream has something for its webhooks.
#[derive(Debug)]
pub(crate) struct WakeWebhooks {}

//! Publishing by HTTP.

use super::edge_client::{self, EdgeClient, Method};
use crate::core::{Failure, PostAnswer, SealedGroup};
use serde::Deserialize;
use serde_json::json;
use streamchain_protocol::Bytes;
use streamchain_protocol::ids::{ProducerId, Seq, StreamRef};
use streamchain_protocol::signed::PublicKey;

/// What the edge answers.
#[derive(Deserialize)]
struct Published {
    stored: bool,
    seq: Option<Seq>,
}

/// A message or a signed group, as it is posted.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) producer: ProducerId,
    /// The number of the first message.
    pub(crate) producer_seq: u64,
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) signed: Option<(PublicKey, SealedGroup)>,
    /// Whether the edge shall answer without waiting until the message is stored.
    pub(crate) at_once: bool,
}

impl Posted {
    /// The JSON body of a signed group.
    fn group_json(&self, key: &PublicKey, group: &SealedGroup) -> String {
        let messages: Vec<_> = self
            .payloads
            .iter()
            .map(|payload| json!({ "payload": Bytes::copy_from_slice(payload) }))
            .collect();
        json!({
            "messages": messages,
            "key": key,
            "previous": group.previous,
            "signature": group.signature,
            "producer": self.producer,
            "producerSeq": self.producer_seq,
        })
        .to_string()
    }
}

impl EdgeClient {
    /// Posts one message, or a group of them.
    pub(crate) async fn publish(&self, stream: &StreamRef, posted: Posted) -> Result<PostAnswer, Failure> {
        self.renew().await;
        self.need_token().await?;
        let mut request = self.request(Method::POST, &format!("/v1/streams/{stream}/messages"));
        if posted.at_once {
            request = request.header("prefer", "respond-async");
        }
        let request = match &posted.signed {
            Some((key, group)) => request
                .header("content-type", "application/json")
                .body(posted.group_json(key, group)),
            None => request
                .header("content-type", "application/octet-stream")
                .header("streamchain-producer", posted.producer.to_hex())
                .header("streamchain-producer-seq", posted.producer_seq)
                .body(posted.payloads.into_iter().next().unwrap_or_default()),
        };
        let published: Published = edge_client::json(&self.exchange(request).await?.body)?;
        Ok(match published.stored {
            true => PostAnswer::Stored(published.seq),
            false => PostAnswer::Kept,
        })
    }
}

//! Publishing by HTTP.

use super::edge_client::{EdgeClient, Method, json};
use crate::core::{Failure, PostAnswer};
use serde::Deserialize;
use streamchain_protocol::ids::{ProducerId, Seq, StreamRef};

/// What the edge answers.
#[derive(Deserialize)]
struct Published {
    stored: bool,
    seq: Option<Seq>,
}

impl EdgeClient {
    /// Posts one message; `at_once` asks the edge not to wait until it is stored.
    pub async fn publish(
        &self,
        stream: &StreamRef,
        (producer, producer_seq): (ProducerId, u64),
        payload: Vec<u8>,
        at_once: bool,
    ) -> Result<PostAnswer, Failure> {
        self.renew().await;
        self.need_token().await?;
        let mut request = self
            .request(Method::POST, &format!("/v1/streams/{stream}/messages"))
            .header("content-type", "application/octet-stream")
            .header("streamchain-producer", producer.to_hex())
            .header("streamchain-producer-seq", producer_seq);
        if at_once {
            request = request.header("prefer", "respond-async");
        }
        let published: Published = json(&self.exchange(request.body(payload)).await?.body)?;
        Ok(match published.stored {
            true => PostAnswer::Stored(published.seq),
            false => PostAnswer::Kept,
        })
    }
}

//! Becoming the guest that a key is, and for whom and which stream a key signs.
//!
//! What always holds: the stream's id is computed from its owner and name wherever it is called by a name, so that a signature
//! is never one for another stream; a key signs only for an author that it is, or that the edge has a certificate of.

use super::edge_client::{Answered, EdgeClient, Method, json, refusal, unreadable, wall_clock};
use crate::core::{Failure, SignGroups};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{StreamId, StreamRef};
use streamchain_protocol::proof::check_time;
use streamchain_protocol::signed::{Certificate, PublicKey, author_of};
use streamchain_protocol::time::UnixSec;

/// What a proof of a key is over begins with.
const PROOF_DOMAIN: &[u8] = b"streamchain/key-proof/v1";

/// Why nothing can be signed for the author of the requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSigning {
    /// The edge made a guest that is not the key.
    #[error("the edge is of a version that knows no keys")]
    UnknownToEdge,
    /// The edge has no certificate of the author for the key.
    #[error("{author} has no certificate for the key {key}")]
    NotCertified {
        /// Who publishes.
        author: Address,
        /// The key.
        key: PublicKey,
    },
    /// The certificate does not count now.
    #[error("the certificate of the key does not count: {0}")]
    NotValid(String),
}

/// The author of the requests and the key that signs for it.
#[derive(Debug, Clone)]
pub struct AuthorKey {
    /// The key.
    pub key: Arc<dyn SignGroups>,
    /// The author.
    pub author: Address,
}

#[derive(Deserialize)]
struct Given {
    token: String,
    author: Address,
}

/// The part of a refused proof's problem that is read.
#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    reason: String,
    now: Option<UnixSec>,
}

/// The host that a proof names: with its port, unless that is the scheme's own.
fn host_of(base: &str) -> Option<String> {
    let url = Url::parse(base).ok()?;
    let host = url.host_str()?.to_lowercase();
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// The value of `StreamChain-Key-Proof`.
fn proof(key: &dyn SignGroups, host: &str, seconds: u64) -> Option<String> {
    let length = u16::try_from(host.len()).ok()?;
    let public = key.public_key();
    let parts: [&[u8]; 5] = [
        PROOF_DOMAIN,
        &length.to_be_bytes(),
        host.as_bytes(),
        public.as_bytes(),
        &seconds.to_be_bytes(),
    ];
    let signature = key.sign(&parts.concat())?;
    Some(format!("{seconds}.{}", URL_SAFE_NO_PAD.encode(signature.0)))
}

impl EdgeClient {
    /// Whether the token is that of the guest that the key is.
    pub(super) fn is_own_guest(&self) -> bool {
        let author = self.token().as_ref().and_then(|token| token.author());
        let own = self
            .key
            .as_ref()
            .and_then(|key| author_of(&key.public_key()).ok());
        author.is_some() && author == own
    }

    /// Becomes the guest that the key is, with the edge's clock if it refuses the one here.
    pub(super) async fn prove_guest(&self) -> Result<(), Failure> {
        let (status, answered) = self.ask_for_guest().await?;
        if status == 401 && self.take_clock(&answered) {
            let (status, answered) = self.ask_for_guest().await?;
            return self.take_guest(status, &answered);
        }
        self.take_guest(status, &answered)
    }

    async fn ask_for_guest(&self) -> Result<(u16, Answered), Failure> {
        let failed = |why: &str| Failure::NoEdge(format!("no proof of the key can be made: {why}"));
        let key = self.key.as_ref().ok_or_else(|| failed("there is no key"))?;
        let host = host_of(self.base()).ok_or_else(|| failed("the edge's URL has no host"))?;
        let seconds = wall_clock()
            .0
            .saturating_add_signed(self.ahead_s.load(Ordering::Relaxed));
        let proof = proof(&**key, &host, seconds).ok_or_else(|| failed("the key can't sign"))?;
        let request = self
            .bare_request(Method::POST, "/v1/auth/guest")
            .header("content-type", "application/json")
            .header("streamchain-key", key.public_key().to_base64())
            .header("streamchain-key-proof", proof);
        self.ask(request.body("{}")).await
    }

    /// Takes the edge's clock from a refusal; returns whether another proof is worth an attempt.
    fn take_clock(&self, answered: &Answered) -> bool {
        let refused: Refused = serde_json::from_slice(&answered.body).unwrap_or_default();
        let (true, Some(now)) = (refused.reason == "time", refused.now) else {
            return false;
        };
        let ahead = now.0.cast_signed().wrapping_sub(wall_clock().0.cast_signed());
        self.ahead_s.store(ahead, Ordering::Relaxed);
        true
    }

    fn take_guest(&self, status: u16, answered: &Answered) -> Result<(), Failure> {
        if !(200..300).contains(&status) {
            return Err(refusal(status, &answered.headers, &answered.body));
        }
        let given: Given = json(&answered.body)?;
        self.set_token(&given.token);
        Ok(())
    }

    /// Returns who publishes, with the key given to [`EdgeClient::with_key`], which signs for it; or why it does not.
    pub async fn author_key(&self) -> Result<Result<AuthorKey, NoSigning>, Failure> {
        let Some(key) = self.key.clone() else {
            return Ok(Err(NoSigning::UnknownToEdge));
        };
        let had_token = self.token().is_some();
        self.need_token().await?;
        let author = self.author().await?;
        let public = key.public_key();
        if author_of(&public) == Ok(author) {
            return Ok(Ok(AuthorKey { key, author }));
        }
        if !had_token {
            return Ok(Err(NoSigning::UnknownToEdge));
        }
        let path = format!("/v1/authors/{author}/keys/{}", public.to_base64());
        let certificate: Certificate = match self.json(Method::GET, &path, None).await {
            Ok(certificate) => certificate,
            Err(Failure::Refused { status: 404, .. }) => {
                return Ok(Err(NoSigning::NotCertified { author, key: public }));
            }
            Err(failure) => return Err(failure),
        };
        Ok(match check_time(&certificate, wall_clock()) {
            Ok(()) => Ok(AuthorKey { key, author }),
            Err(error) => Err(NoSigning::NotValid(error.to_string())),
        })
    }

    /// Whose the credentials are. An API key does not say it: the edge does.
    async fn author(&self) -> Result<Address, Failure> {
        if let Some(author) = self.token().as_ref().and_then(|token| token.author()) {
            return Ok(author);
        }
        let given: Given = self
            .json(Method::POST, "/v1/auth/token", Some(&serde_json::json!({})))
            .await?;
        Ok(given.author)
    }

    /// Returns the id of a stream, which signatures are over.
    pub async fn stream_id(&self, stream: &StreamRef) -> Result<StreamId, Failure> {
        #[derive(Deserialize)]
        struct Config {
            operator: Address,
        }
        #[derive(Deserialize)]
        struct Shown {
            id: StreamId,
        }
        match stream {
            StreamRef::Id(id) => Ok(*id),
            StreamRef::Name(name) => {
                let config: Config = self.json(Method::GET, "/v1/config", None).await?;
                Ok(StreamId::of(config.operator, name))
            }
            StreamRef::Short(short) => {
                let path = format!("/v1/streams/{short}");
                let shown: Shown = self.json(Method::GET, &path, None).await?;
                match shown.id.short() == *short {
                    true => Ok(shown.id),
                    false => Err(unreadable(&"the stream's id is not the one that was asked for")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKey;

    #[test]
    fn a_proof_names_host_key_and_time() {
        assert_eq!(host_of("https://Edge.Example"), Some("edge.example".into()));
        assert_eq!(host_of("http://127.0.0.1:8787"), Some("127.0.0.1:8787".into()));
        let key = SigningKey::generate().unwrap();
        let text = proof(&key, "edge.example", 1_767_225_600).unwrap();
        let (seconds, signature) = text.split_once('.').unwrap();
        assert_eq!(seconds, "1767225600");
        let signature = streamchain_protocol::signed::Signature::from_base64(signature).unwrap();
        let mut bytes = b"streamchain/key-proof/v1\0\x0cedge.example".to_vec();
        bytes.extend_from_slice(key.public_key().as_bytes());
        bytes.extend_from_slice(&1_767_225_600_u64.to_be_bytes());
        assert!(crate::signing::verify(&key.public_key(), &bytes, &signature));
    }

    #[test]
    fn the_edges_clock_is_taken_from_its_refusal() {
        let edge = EdgeClient::new("http://127.0.0.1:1", None).unwrap();
        let answered = |body: &[u8]| Answered {
            headers: Default::default(),
            body: body.to_vec(),
        };
        assert!(!edge.take_clock(&answered(b"{\"reason\":\"signature\"}")));
        let now = wall_clock().0 + 1_000;
        let body = format!("{{\"reason\":\"time\",\"now\":{now}}}");
        assert!(edge.take_clock(&answered(body.as_bytes())));
        assert!((990..=1_010).contains(&edge.ahead_s.load(Ordering::Relaxed)));
    }
}

//! The list of targets. A new one is a function here and a folder of the same name under `corpus/`.

mod proofs;
mod relay;
mod text;
mod wire;

use std::path::PathBuf;

/// One parser and what it promises.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What it is given, in a few words.
    pub about: &'static str,
    /// Reads the bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:literal, $about:literal, $run:path;)*) => {
        &[$(Target { name: $name, about: $about, run: $run }),*]
    };
}

/// All targets.
pub const TARGETS: &[Target] = targets! {
    "client_frames", "what a client sends on a data channel", wire::client_frames;
    "relay_frames", "what a relay sends on a data channel", wire::relay_frames;
    "batch", "a relay's batch to the edge", wire::batch;
    "bundle", "a relay's bundle of batches to the edge", wire::bundle;
    "records", "records as they are stored", wire::records;
    "stored_records", "records as they are stored, with erased messages", wire::stored_records;
    "pack", "a pack of the archive", wire::pack;
    "registration", "a relay's registration (JSON)", wire::registration;
    "notice", "a notice to a relay (JSON)", wire::notice;
    "offer", "a client's SDP offer", text::offer;
    "siwe", "a sign-in message (EIP-4361)", text::siwe;
    "access_token", "an access token", text::access_token;
    "session_token", "a session token, as a STUN USERNAME carries it", text::session_token;
    "api_key", "an API key", text::api_key;
    "ids", "names and ids of streams, relays, sessions, producers", text::ids;
    "cursor", "a cursor of the event stream", text::cursor;
    "rate_policy", "the setting RATE_LIMITS", text::rate_policy;
    "json", "any JSON text", text::json_text;
    "receipt", "a receipt", proofs::receipt;
    "runs", "the list of runs of a bucket", proofs::runs;
    "json_rpc", "answers of Ethereum nodes", proofs::json_rpc;
    "signature", "a wallet's signature (EIP-191, EIP-6492)", proofs::signature;
    "link_frames", "what another relay sends over a link", relay::link_frames;
    "stun", "STUN and TURN messages", relay::stun;
    "turn_request", "what a TURN server is sent, behind its signature check too", relay::turn_request;
    "tcp_framing", "ICE-TCP and TURN streams (RFC 4571, RFC 8656)", relay::tcp_framing;
};

/// Where a target's corpus is.
pub fn corpus_folder(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

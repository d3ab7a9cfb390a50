//! The STUN and TURN servers for a client: as `Link` headers of a session's answer (RFC 9725 §4.6)
//! and as the members of `RTCPeerConnection`'s `iceServers`.
//!
//! What always holds: a TURN server that shares a secret with the edge gets credentials of the client's own,
//! good for [`TURN_CREDENTIALS_LIFE_S`] and for that server's secret alone.

use super::turn_credentials::{TURN_CREDENTIALS_LIFE_S, TurnCredentials, TurnSecret};
use crate::time::UnixSec;
use serde::{Deserialize, Serialize};

/// One server, in the shape of the browsers' `RTCIceServer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` (RFC 7064, RFC 7065).
    pub urls: String,
    /// The username of a TURN server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of a TURN server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl IceServer {
    /// Returns servers at `urls`; those of TURN with credentials of `user` when there is a secret. The credentials hold for
    /// their usual life, or until `end` where that is sooner.
    pub fn list(
        urls: &[String],
        secret: Option<&TurnSecret>,
        user: &str,
        now: UnixSec,
        end: Option<UnixSec>,
    ) -> Vec<Self> {
        let expires = now.plus_s(TURN_CREDENTIALS_LIFE_S);
        let expires = end.map_or(expires, |end| end.min(expires));
        let credentials = secret.map(|secret| secret.issue(user, expires));
        let server = |url: &String| {
            let credentials = credentials.as_ref().filter(|_| is_turn(url));
            let of = |TurnCredentials { username, password }: &_| (username.clone(), password.clone());
            let (username, credential) = credentials.map(of).unzip();
            let urls = url.clone();
            Self {
                urls,
                username,
                credential,
            }
        };
        urls.iter().map(server).collect()
    }

    /// Returns the `Link` header's value.
    pub fn link(&self) -> String {
        let mut link = format!("<{}>; rel=\"ice-server\"", self.urls);
        if let (Some(username), Some(credential)) = (&self.username, &self.credential) {
            link += &format!(
                "; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\""
            );
        }
        link
    }
}

fn is_turn(url: &str) -> bool {
    url.starts_with("turn:") || url.starts_with("turns:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webrtc::user_of;

    fn urls() -> Vec<String> {
        vec![
            "stun:stun.example:3478".into(),
            "turn:turn.example:3478?transport=udp".into(),
            "turns:turn.example:443".into(),
        ]
    }

    #[test]
    fn only_turn_servers_get_credentials() {
        let secret = TurnSecret::new("north");
        let [stun, turn, turns] = IceServer::list(&urls(), Some(&secret), "alice", UnixSec(1_000), None)
            .try_into()
            .unwrap();
        assert_eq!((stun.username, stun.credential), (None, None));
        let username = turn.username.unwrap();
        let end = 1_000 + TURN_CREDENTIALS_LIFE_S;
        assert_eq!(user_of(&username, UnixSec(end)), Ok("alice"));
        assert!(user_of(&username, UnixSec(end + 1)).is_err());
        assert_eq!(turn.credential, Some(secret.password(&username)));
        assert_eq!(turns.username, Some(username));
        let username_until = |end| {
            let servers = IceServer::list(&urls(), Some(&secret), "alice", UnixSec(1_000), Some(end));
            servers.into_iter().find_map(|server| server.username)
        };
        let sooner = username_until(UnixSec(1_010)).unwrap();
        assert_eq!(sooner, "1010:alice");
        let later = username_until(UnixSec(u64::MAX)).unwrap();
        assert_eq!(user_of(&later, UnixSec(end)), Ok("alice"));
        assert!(user_of(&later, UnixSec(end + 1)).is_err());
    }

    #[test]
    fn a_link_is_as_whip_has_it() {
        let with = IceServer {
            urls: "turn:turn.example".into(),
            username: Some("9:alice".into()),
            credential: Some("c2VjcmV0".into()),
        };
        assert_eq!(
            with.link(),
            "<turn:turn.example>; rel=\"ice-server\"; username=\"9:alice\"; credential=\"c2VjcmV0\"; \
             credential-type=\"password\""
        );
        let without = &IceServer::list(&urls()[..1], None, "alice", UnixSec(0), None)[0];
        assert_eq!(without.link(), "<stun:stun.example:3478>; rel=\"ice-server\"");
        let json = serde_json::to_value(without).unwrap();
        assert_eq!(json, serde_json::json!({"urls": "stun:stun.example:3478"}));
    }
}

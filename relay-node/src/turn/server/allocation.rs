//! What one client has: its relayed addresses, permissions and channels.
//!
//! What always holds: every permission and channel is of a peer that the server permits (the caller checks
//! that first), and their number is bounded. What has expired counts as gone.

use super::client::Client;
use super::limits::{CHANNEL_LIFE_MS, MAX_CHANNELS, MAX_PERMISSIONS, PERMISSION_LIFE_MS};
use crate::turn::proto::message::TransactionId;
use std::net::{IpAddr, SocketAddr};
use streamchain_protocol::time::UnixMs;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Why a channel was not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindError {
    /// The number belongs to another peer, or the peer has another number.
    Taken,
    /// The allocation has as many channels as it may have.
    Full,
}

/// When a permission or channel of a peer expires.
#[derive(Debug, Clone, Copy)]
struct Permission {
    peer: IpAddr,
    expires: UnixMs,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    expires: UnixMs,
}

#[derive(Debug)]
pub(crate) struct Allocation {
    pub client: Client,
    /// The username it was made with; no other user may use it.
    pub username: String,
    /// The number in its relayed addresses' port.
    pub port: u16,
    pub families: Vec<Family>,
    /// The request that made it: a repetition gets the same answer.
    pub made_by: TransactionId,
    /// When it ends.
    pub expires: UnixMs,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
}

impl Allocation {
    pub(crate) fn new(
        client: Client,
        username: String,
        port: u16,
        families: Vec<Family>,
        made_by: TransactionId,
        expires: UnixMs,
    ) -> Self {
        Self {
            client,
            username,
            port,
            families,
            made_by,
            expires,
            permissions: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// The part of the username that quotas count by.
    pub(crate) fn user(&self) -> &str {
        self.username.split_once(':').map_or("", |(_, user)| user)
    }

    /// Makes or renews a permission; whether there was room.
    pub(crate) fn permit(&mut self, peer: IpAddr, now: UnixMs) -> bool {
        self.forget_expired(now);
        let expires = now.plus_ms(PERMISSION_LIFE_MS);
        if let Some(permission) = self.permissions.iter_mut().find(|held| held.peer == peer) {
            permission.expires = expires;
            return true;
        }
        let room = self.permissions.len() < MAX_PERMISSIONS;
        if room {
            self.permissions.push(Permission { peer, expires });
        }
        room
    }

    /// Whether packets of `peer` are wanted.
    pub(crate) fn permits(&self, peer: IpAddr, now: UnixMs) -> bool {
        self.permissions
            .iter()
            .any(|held| held.peer == peer && held.expires > now)
    }

    /// Binds or renews a channel. Makes no permission.
    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr, now: UnixMs) -> Result<(), BindError> {
        self.forget_expired(now);
        let expires = now.plus_ms(CHANNEL_LIFE_MS);
        for channel in &mut self.channels {
            match (channel.number == number, channel.peer == peer) {
                (true, true) => {
                    channel.expires = expires;
                    return Ok(());
                }
                (false, false) => {}
                _ => return Err(BindError::Taken),
            }
        }
        if self.channels.len() >= MAX_CHANNELS {
            return Err(BindError::Full);
        }
        self.channels.push(Channel {
            number,
            peer,
            expires,
        });
        Ok(())
    }

    pub(crate) fn peer_of(&self, number: u16, now: UnixMs) -> Option<SocketAddr> {
        self.live_channels(now)
            .find(|channel| channel.number == number)
            .map(|channel| channel.peer)
    }

    /// The number of a peer's channel, if it has one.
    pub(crate) fn channel_to(&self, peer: SocketAddr, now: UnixMs) -> Option<u16> {
        self.live_channels(now)
            .find(|channel| channel.peer == peer)
            .map(|channel| channel.number)
    }

    fn live_channels(&self, now: UnixMs) -> impl Iterator<Item = &Channel> {
        self.channels.iter().filter(move |channel| channel.expires > now)
    }

    fn forget_expired(&mut self, now: UnixMs) {
        self.permissions.retain(|held| held.expires > now);
        self.channels.retain(|held| held.expires > now);
    }
}

//! All allocations: by client, by relayed port, and counted for the quotas.
//!
//! What always holds: the two ways to find an allocation agree, the counts are those of what is there, and
//! nothing exceeds the limits.

use super::allocation::Allocation;
use super::client::Client;
use super::limits::{MAX_ADDRESS_ALLOCATIONS, MAX_ALLOCATIONS, MAX_USER_ALLOCATIONS};
use crate::core::shares::Shares;
use std::collections::HashMap;
use streamchain_protocol::time::UnixMs;

/// Ports of relayed addresses start here, as an ordinary server's would not be privileged.
const FIRST_PORT: u16 = 1_024;

/// Why there is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The user, or the client's address, has as many allocations as it may have.
    Quota,
    /// The server has as many allocations as it may have.
    Server,
}

#[derive(Debug)]
pub(crate) struct Allocations {
    by_client: HashMap<Client, Allocation>,
    by_port: HashMap<u16, Client>,
    per_user: HashMap<String, usize>,
    shares: Shares,
    /// Where the search for a free port goes on: a port is used again as late as possible, so that packets
    /// still under way to a client that left are dropped.
    next_port: u16,
}

impl Default for Allocations {
    fn default() -> Self {
        Self {
            by_client: HashMap::new(),
            by_port: HashMap::new(),
            per_user: HashMap::new(),
            shares: Shares::with_share(MAX_ALLOCATIONS, MAX_ADDRESS_ALLOCATIONS),
            next_port: 0,
        }
    }
}

impl Allocations {
    /// The allocation of `client`, unless it has expired.
    pub(crate) fn of(&self, client: &Client, now: UnixMs) -> Option<&Allocation> {
        self.by_client.get(client).filter(|held| held.expires > now)
    }

    /// The allocation of `client`, unless it has expired.
    pub(crate) fn of_mut(&mut self, client: &Client, now: UnixMs) -> Option<&mut Allocation> {
        self.by_client.get_mut(client).filter(|held| held.expires > now)
    }

    /// The allocation with this relayed port, unless it has expired.
    pub(crate) fn at_port(&self, port: u16, now: UnixMs) -> Option<&Allocation> {
        self.of(self.by_port.get(&port)?, now)
    }

    pub(crate) fn count(&self) -> usize {
        self.by_client.len()
    }

    /// A free port for one more allocation of `user` at `client`; an even one if asked.
    pub(crate) fn free_port(&mut self, user: &str, client: &Client, even: bool) -> Result<u16, Full> {
        let user = self.per_user.get(user).copied().unwrap_or(0);
        if self.shares.is_full() {
            return Err(Full::Server);
        }
        if user >= MAX_USER_ALLOCATIONS || !self.shares.has_room(client.network()) {
            return Err(Full::Quota);
        }
        // MAX_ALLOCATIONS is far below the number of even ports, so this ends.
        loop {
            self.next_port = self.next_port.checked_add(1).unwrap_or(0).max(FIRST_PORT);
            let fits = !even || self.next_port.is_multiple_of(2);
            if fits && !self.by_port.contains_key(&self.next_port) {
                return Ok(self.next_port);
            }
        }
    }

    /// Adds an allocation whose port came from [`Allocations::free_port`].
    pub(crate) fn add(&mut self, allocation: Allocation) {
        let client = allocation.client;
        self.remove(&client);
        self.by_port.insert(allocation.port, client);
        *self.per_user.entry(allocation.user().to_owned()).or_default() += 1;
        self.shares.take(client.network());
        self.by_client.insert(client, allocation);
    }

    /// Ends a client's allocation, if it has one.
    pub(crate) fn remove(&mut self, client: &Client) {
        let Some(allocation) = self.by_client.remove(client) else {
            return;
        };
        self.by_port.remove(&allocation.port);
        decrease(&mut self.per_user, allocation.user());
        self.shares.give_back(client.network());
    }

    pub(crate) fn remove_expired(&mut self, now: UnixMs) {
        let over = self.by_client.values().filter(|held| held.expires <= now);
        let over: Vec<Client> = over.map(|held| held.client).collect();
        over.iter().for_each(|client| self.remove(client));
    }
}

fn decrease<K, Q>(counts: &mut HashMap<K, usize>, key: &Q)
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

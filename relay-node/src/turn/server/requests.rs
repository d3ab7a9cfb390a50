//! What an authenticated request is granted (RFC 8656 §7 to §12).

use super::allocation::{Allocation, BindError, Family};
use super::allocations::Full;
use super::client::Client;
use super::limits::{LIFETIME_DEFAULT_S, MAX_LIFETIME_S};
use super::{Caller, TurnServer, relayed_address};
use crate::turn::proto::attributes::{self, Refusal};
use crate::turn::proto::message::{Message, Method};
use crate::turn::proto::writer::Writer;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use streamchain_protocol::time::UnixMs;

/// Channel numbers that are bound. RFC 8656 §12 gives new clients 0x4000 to 0x4FFF, so that they can distinguish
/// ChannelData from other protocols on one socket; clients of RFC 5766 choose up to 0x7FFF, and on these
/// sockets there is no other protocol to distinguish.
const CHANNELS: RangeInclusive<u16> = 0x4000..=0x7FFF;

impl TurnServer {
    /// Grants a request. Returns the answer, which is not signed yet, or the reason for a refusal.
    pub(super) fn grant(
        &mut self,
        client: Client,
        request: &Message,
        caller: &Caller,
        now: UnixMs,
    ) -> Result<Writer, Refusal> {
        if request.attributes().any(|(kind, _)| kind.is_unknown()) {
            return Err(Refusal::UnknownAttribute);
        }
        if request.method == Method::ALLOCATE {
            return self.allocate(client, request, caller, now);
        }
        let allocation = self
            .allocations
            .of(&client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        // Renewed credentials have another expiry: the user is what counts.
        if allocation.user() != caller.user {
            return Err(Refusal::WrongCredentials);
        }
        match request.method {
            Method::REFRESH => self.refresh(client, request, now),
            Method::CREATE_PERMISSION => self.create_permission(client, request, now),
            _ => self.channel_bind(client, request, now),
        }
    }

    fn allocate(
        &mut self,
        client: Client,
        request: &Message,
        caller: &Caller,
        now: UnixMs,
    ) -> Result<Writer, Refusal> {
        if let Some(held) = self.allocations.of(&client, now) {
            // The answer was lost and the client asks again.
            let again = held.made_by == request.transaction && held.username == caller.username;
            let lifetime_s = u32::try_from(held.expires.since(now) / 1_000).unwrap_or(MAX_LIFETIME_S);
            return again
                .then(|| allocated(request, held, lifetime_s))
                .ok_or(Refusal::AllocationMismatch);
        }
        match request.attribute(attributes::REQUESTED_TRANSPORT) {
            Some([attributes::TRANSPORT_UDP, _, _, _]) => {}
            Some([_, _, _, _]) => return Err(Refusal::UnsupportedTransport),
            _ => return Err(Refusal::BadRequest),
        }
        let families = self.families(request)?;
        let even = even_port(request)?;
        let lifetime_s = lifetime(request)?.unwrap_or(LIFETIME_DEFAULT_S);
        let lifetime_s = lifetime_s.clamp(LIFETIME_DEFAULT_S, MAX_LIFETIME_S);
        let port = self
            .allocations
            .free_port(&caller.user, &client, even)
            .map_err(|full| match full {
                Full::Quota => Refusal::AllocationQuota,
                Full::Server => Refusal::InsufficientCapacity,
            })?;
        let allocation = Allocation::new(
            client,
            caller.username.clone(),
            port,
            families,
            request.transaction,
            now.plus_ms(u64::from(lifetime_s) * 1_000),
        );
        let answer = allocated(request, &allocation, lifetime_s);
        self.allocations.add(allocation);
        self.counts.allocations += 1;
        Ok(answer)
    }

    /// Which relayed addresses a request asks for (RFC 8656 §7.2).
    ///
    /// A request that names no family gets IPv4, unless the relay has IPv6 addresses alone: an IPv4 address
    /// could then reach nothing, and browsers never name one.
    fn families(&self, request: &Message) -> Result<Vec<Family>, Refusal> {
        let has = |family| {
            self.settings
                .peers
                .iter()
                .any(|peer| Family::of(peer.ip()) == family)
        };
        let requested = family(request.attribute(attributes::REQUESTED_ADDRESS_FAMILY))?;
        let additional = family(request.attribute(attributes::ADDITIONAL_ADDRESS_FAMILY))?;
        match (requested, additional) {
            (Some(_), Some(_)) | (None, Some(Family::V4)) => Err(Refusal::BadRequest),
            (Some(family), None) if has(family) => Ok(vec![family]),
            (Some(_), None) => Err(Refusal::AddressFamilyNotSupported),
            (None, Some(Family::V6)) if !has(Family::V4) && !has(Family::V6) => {
                Err(Refusal::AddressFamilyNotSupported)
            }
            (None, Some(Family::V6)) => Ok([Family::V4, Family::V6]
                .into_iter()
                .filter(|family| has(*family))
                .collect()),
            (None, None) if has(Family::V4) => Ok(vec![Family::V4]),
            (None, None) => Ok(vec![Family::V6]),
        }
    }

    fn refresh(&mut self, client: Client, request: &Message, now: UnixMs) -> Result<Writer, Refusal> {
        let asked = lifetime(request)?.unwrap_or(LIFETIME_DEFAULT_S);
        let family = family(request.attribute(attributes::REQUESTED_ADDRESS_FAMILY))?;
        let allocation = self
            .allocations
            .of_mut(&client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        if family.is_some_and(|family| !allocation.families.contains(&family)) {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        match (asked, family) {
            // One address of two ends, the other stays (RFC 8656 §8.2).
            (0, Some(family)) if allocation.families.len() > 1 => {
                allocation.families.retain(|held| *held != family);
            }
            (0, _) => self.allocations.remove(&client),
            _ => {
                let granted = asked.clamp(LIFETIME_DEFAULT_S, MAX_LIFETIME_S);
                allocation.expires = now.plus_ms(u64::from(granted) * 1_000);
                return Ok(lifetime_answer(request, granted));
            }
        }
        Ok(lifetime_answer(request, 0))
    }

    fn create_permission(
        &mut self,
        client: Client,
        request: &Message,
        now: UnixMs,
    ) -> Result<Writer, Refusal> {
        let peers: Result<Vec<SocketAddr>, _> = request.peers().collect();
        let peers = peers.map_err(|_| Refusal::BadRequest)?;
        if peers.is_empty() {
            return Err(Refusal::BadRequest);
        }
        // All or none (RFC 8656 §10.2). A permission is of an address; its port does not count.
        for peer in &peers {
            self.check_family(&client, peer, now)?;
            if !self.settings.peers.iter().any(|own| own.ip() == peer.ip()) {
                return Err(Refusal::Forbidden);
            }
        }
        let allocation = self
            .allocations
            .of_mut(&client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        for peer in &peers {
            if !allocation.permit(peer.ip(), now) {
                return Err(Refusal::InsufficientCapacity);
            }
        }
        Ok(Writer::success(request))
    }

    fn channel_bind(&mut self, client: Client, request: &Message, now: UnixMs) -> Result<Writer, Refusal> {
        let number = match request.attribute(attributes::CHANNEL_NUMBER) {
            Some([high, low, _, _]) => u16::from_be_bytes([*high, *low]),
            _ => return Err(Refusal::BadRequest),
        };
        let peer = request.peers().next().and_then(Result::ok);
        let peer = peer.ok_or(Refusal::BadRequest)?;
        if !CHANNELS.contains(&number) {
            return Err(Refusal::BadRequest);
        }
        self.check_family(&client, &peer, now)?;
        if !self.settings.peers.contains(&peer) {
            return Err(Refusal::Forbidden);
        }
        let allocation = self
            .allocations
            .of_mut(&client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        allocation.bind(number, peer, now).map_err(|error| match error {
            BindError::Taken => Refusal::BadRequest,
            BindError::Full => Refusal::InsufficientCapacity,
        })?;
        if !allocation.permit(peer.ip(), now) {
            return Err(Refusal::InsufficientCapacity);
        }
        Ok(Writer::success(request))
    }

    fn check_family(&self, client: &Client, peer: &SocketAddr, now: UnixMs) -> Result<(), Refusal> {
        let allocation = self
            .allocations
            .of(client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        match allocation.families.contains(&Family::of(peer.ip())) {
            true => Ok(()),
            false => Err(Refusal::PeerAddressFamilyMismatch),
        }
    }
}

/// The answer to Allocate; an additional family that was asked for and is not there is named.
fn allocated(request: &Message, allocation: &Allocation, lifetime_s: u32) -> Writer {
    let mut answer = Writer::success(request);
    for family in &allocation.families {
        let address = relayed_address(*family, allocation.port);
        answer = answer.xor_address(attributes::XOR_RELAYED_ADDRESS, address);
    }
    if request.attribute(attributes::ADDITIONAL_ADDRESS_FAMILY).is_some() {
        for (family, code) in [
            (Family::V4, attributes::FAMILY_IPV4),
            (Family::V6, attributes::FAMILY_IPV6),
        ] {
            if !allocation.families.contains(&family) {
                answer = answer.address_error(code, Refusal::AddressFamilyNotSupported);
            }
        }
    }
    answer
        .attribute(attributes::LIFETIME, &lifetime_s.to_be_bytes())
        .xor_address(attributes::XOR_MAPPED_ADDRESS, allocation.client.address)
}

fn lifetime_answer(request: &Message, lifetime_s: u32) -> Writer {
    Writer::success(request).attribute(attributes::LIFETIME, &lifetime_s.to_be_bytes())
}

fn lifetime(request: &Message) -> Result<Option<u32>, Refusal> {
    let Some(value) = request.attribute(attributes::LIFETIME) else {
        return Ok(None);
    };
    let value = value.try_into().map_err(|_| Refusal::BadRequest)?;
    Ok(Some(u32::from_be_bytes(value)))
}

fn family(value: Option<&[u8]>) -> Result<Option<Family>, Refusal> {
    match value {
        None => Ok(None),
        Some([attributes::FAMILY_IPV4, _, _, _]) => Ok(Some(Family::V4)),
        Some([attributes::FAMILY_IPV6, _, _, _]) => Ok(Some(Family::V6)),
        Some([_, _, _, _]) => Err(Refusal::AddressFamilyNotSupported),
        Some(_) => Err(Refusal::BadRequest),
    }
}

/// Whether an even port is asked for; this server can't reserve the next one, which RTP and RTCP would need.
fn even_port(request: &Message) -> Result<bool, Refusal> {
    if request.attribute(attributes::RESERVATION_TOKEN).is_some() {
        return Err(Refusal::InsufficientCapacity);
    }
    match request.attribute(attributes::EVEN_PORT) {
        None => Ok(false),
        Some([flags]) if flags & 0x80 == 0 => Ok(true),
        Some([_]) => Err(Refusal::InsufficientCapacity),
        Some(_) => Err(Refusal::BadRequest),
    }
}

//! DTLS as sessions use it: str0m's, with settings that are made and checked once.
//!
//! What always holds: the ciphers are tried against their test vectors before the first handshake, and only then.
//! The provider of str0m tries them again for every connection, which costs more than the rest of the relay's side of
//! a handshake together, all of it before the client's first check is answered.

use crate::core::sctp_opening::SctpOpening;
use dimpl::{Config, Dtls, KeyingMaterial, SrtpProfile, UnexpectedMessageError};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion};

/// How long the relay waits for the answer to a flight before it sends it again; twice as long each time. Above the
/// round-trip time of most paths, and far below the second of RFC 9147 §5.8.1, which is meant for what is known of no
/// path at all: here a check has just gone through.
pub(crate) const FLIGHT_TIMEOUT: Duration = Duration::from_millis(250);

/// Largest datagram of a handshake, bytes; the first one is padded to it. With its answer of at most 76 bytes, a check of at
/// least 196 (our token is in it) pays for two of them ([`crate::core::limits::MAX_AMPLIFICATION`]): so the handshake begins with
/// the first check, and one that is lost can be sent again.
const HANDSHAKE_DATAGRAM_BYTES: usize = (3 * 196 - 76) / 2;

/// How often at most: the last time is when a handshake has long timed out
/// ([`crate::core::limits::HANDSHAKE_TIMEOUT`]).
const FLIGHT_RETRIES: usize = 5;

/// Hashes, ciphers and DTLS for all sessions.
pub fn crypto_provider() -> CryptoProvider {
    static PROVIDER: Provider = Provider {
        config: OnceLock::new(),
    };
    CryptoProvider {
        dtls_provider: &PROVIDER,
        ..str0m::crypto::from_feature_flags()
    }
}

#[derive(Debug)]
struct Provider {
    config: OnceLock<Arc<Config>>,
}

impl Provider {
    fn config(&self) -> Result<Arc<Config>, CryptoError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        // The budget of its address bounds what a client is sent that may be elsewhere, so it is asked for no cookie
        // (RFC 9147 §5.1), which would cost a round trip.
        let settings = Config::builder()
            .use_server_cookie(false)
            .flight_start_rto(FLIGHT_TIMEOUT)
            .flight_retries(FLIGHT_RETRIES)
            .mtu(HANDSHAKE_DATAGRAM_BYTES);
        let made = settings.build();
        let config = Arc::new(made.map_err(|error| CryptoError::Other(error.to_string()))?);
        // Another thread may have been first: then its one stays.
        let _ = self.config.set(config.clone());
        Ok(config)
    }
}

impl DtlsProvider for Provider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        str0m::crypto::from_feature_flags()
            .dtls_provider
            .generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        // That of data, which str0m keeps to in SCTP.
        _mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let (config, certificate) = (self.config()?, certificate.clone());
        let dtls = match version {
            DtlsVersion::Dtls12 => Dtls::new_12(config, certificate, now),
            DtlsVersion::Dtls13 => Dtls::new_13(config, certificate, now),
            DtlsVersion::Auto => Dtls::new_auto(config, certificate, now),
            other => return Err(CryptoError::Other(format!("{other} is not known here"))),
        };
        Ok(Box::new(Instance::new(dtls)))
    }
}

/// Largest record that str0m takes, bytes.
const MAX_RECORD_BYTES: usize = 2_000;

/// Buffers that are kept to be used again.
const MAX_SPARE: usize = 2;

/// What came out of a datagram, until str0m asks for it.
#[derive(Debug)]
enum Held {
    Packet(Vec<u8>),
    Data(Vec<u8>),
    Certificate(Vec<u8>),
    Keys(KeyingMaterial, SrtpProfile),
    Connected,
    CloseNotify,
}

/// One connection. What always holds: once it is up, a datagram in which nothing was new and from the peer is an error, so that
/// a forged or repeated one is told from the peer's.
#[derive(Debug)]
struct Instance {
    dtls: Dtls,
    opening: SctpOpening,
    held: VecDeque<Held>,
    is_connected: bool,
    spare: Vec<Vec<u8>>,
}

impl Instance {
    fn new(dtls: Dtls) -> Self {
        Self {
            dtls,
            opening: SctpOpening::default(),
            held: VecDeque::new(),
            is_connected: false,
            spare: Vec::new(),
        }
    }

    /// Takes out what a datagram brought; returns whether that was anything which only the peer can have sent.
    fn hold_output(&mut self) -> Result<bool, DtlsImplError> {
        let (mut buffer, mut is_new) = ([0; MAX_RECORD_BYTES], false);
        let mut to_client = Vec::new();
        loop {
            let held = match self.dtls.poll_output(&mut buffer) {
                DtlsOutput::Timeout(_) | DtlsOutput::BufferTooSmall { .. } => break,
                DtlsOutput::Connected => {
                    self.is_connected = true;
                    Held::Connected
                }
                DtlsOutput::CloseNotify => Held::CloseNotify,
                DtlsOutput::KeyingMaterial(keys, profile) => Held::Keys(keys, profile),
                DtlsOutput::PeerCert(bytes) => Held::Certificate(bytes.to_vec()),
                DtlsOutput::Packet(bytes) => Held::Packet(bytes.to_vec()),
                DtlsOutput::ApplicationData(bytes) if !self.opening.is_over() => {
                    is_new = true;
                    let turn = self.opening.incoming(bytes);
                    to_client.extend(turn.to_client);
                    self.held.extend(turn.on.into_iter().map(Held::Data));
                    continue;
                }
                DtlsOutput::ApplicationData(bytes) => {
                    let mut data = self.spare.pop().unwrap_or_default();
                    data.extend_from_slice(bytes);
                    Held::Data(data)
                }
                _ => continue,
            };
            is_new |= matches!(held, Held::Data(_) | Held::CloseNotify);
            self.held.push_back(held);
        }
        for packet in to_client {
            self.dtls.send_application_data(&packet)?;
        }
        Ok(is_new)
    }

    fn keep(&mut self, mut used: Vec<u8>) {
        if self.spare.len() < MAX_SPARE {
            used.clear();
            self.spare.push(used);
        }
    }
}

/// As much of `bytes` as fits: all of it, for what is held is no larger than str0m's buffer.
fn copied<'a>(buffer: &'a mut [u8], bytes: &[u8]) -> &'a [u8] {
    let length = bytes.len().min(buffer.len());
    let (filled, _) = buffer.split_at_mut(length);
    filled.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    filled
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        let was_connected = self.is_connected;
        let taken = self.dtls.handle_packet(packet);
        // A record behind one that can't be read is taken all the same.
        let is_new = self.hold_output()?;
        taken?;
        match is_new || !was_connected {
            true => Ok(()),
            false => Err(DtlsImplError::UnexpectedMessage(
                UnexpectedMessageError::UnexpectedEpoch,
            )),
        }
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        match self.held.pop_front() {
            None => {
                let output = self.dtls.poll_output(buffer);
                self.is_connected |= matches!(output, DtlsOutput::Connected);
                output
            }
            Some(Held::Packet(bytes)) => DtlsOutput::Packet(copied(buffer, &bytes)),
            Some(Held::Certificate(bytes)) => DtlsOutput::PeerCert(copied(buffer, &bytes)),
            Some(Held::Data(bytes)) => {
                let data = copied(buffer, &bytes);
                self.keep(bytes);
                DtlsOutput::ApplicationData(data)
            }
            Some(Held::Keys(keys, profile)) => DtlsOutput::KeyingMaterial(keys, profile),
            Some(Held::Connected) => DtlsOutput::Connected,
            Some(Held::CloseNotify) => DtlsOutput::CloseNotify,
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.dtls.handle_timeout(now)
    }

    fn send_application_data(&mut self, bytes: &[u8]) -> Result<usize, DtlsImplError> {
        if self.opening.is_over() {
            return self.dtls.send_application_data(bytes);
        }
        let turn = self.opening.outgoing(bytes);
        for packet in turn.on.iter().chain(&turn.to_client) {
            if self.dtls.send_application_data(packet)? != packet.len() {
                // The handshake is not done: str0m comes again with the same packet.
                return Ok(0);
            }
        }
        Ok(bytes.len())
    }

    fn is_active(&self) -> bool {
        self.dtls.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.dtls.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.held.is_empty() && self.dtls.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.dtls.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ciphers_are_tried_for_the_first_connection_only() {
        let provider = Provider {
            config: OnceLock::new(),
        };
        let first = provider.config().unwrap();
        assert!(Arc::ptr_eq(&first, &provider.config().unwrap()));
    }

    #[test]
    fn a_handshake_is_tried_as_long_as_a_session_may_shake_hands() {
        let last = FLIGHT_TIMEOUT * (2_u32.pow(FLIGHT_RETRIES as u32 + 1) - 1);
        assert!(last > crate::core::limits::HANDSHAKE_TIMEOUT);
    }
}

//! DTLS as sessions use it: str0m's, with settings that are made and checked once.
//!
//! What always holds: the ciphers are tried against their test vectors before the first handshake, and only then.
//! The provider of str0m tries them again for every connection, which costs more than the rest of the relay's side of
//! a handshake together, all of it before the client's first check is answered.

use dimpl::{Config, Dtls};
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
        Ok(Box::new(Instance(dtls)))
    }
}

#[derive(Debug)]
struct Instance(Dtls);

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.0.poll_output(buffer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, bytes: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(bytes)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
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

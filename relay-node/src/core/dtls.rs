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
    fn config(&self, mtu: Option<usize>) -> Result<Arc<Config>, CryptoError> {
        let known = self.config.get();
        if let Some(config) = known.filter(|config| mtu.is_none_or(|mtu| mtu == config.mtu())) {
            return Ok(config.clone());
        }
        // ICE has verified that the client is where it says, so it is asked for no cookie (RFC 9147 §5.1).
        let mut settings = Config::builder()
            .use_server_cookie(false)
            .flight_start_rto(FLIGHT_TIMEOUT)
            .flight_retries(FLIGHT_RETRIES);
        if let Some(mtu) = mtu {
            settings = settings.mtu(mtu);
        }
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
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let (config, certificate) = (self.config(mtu)?, certificate.clone());
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
        let config = |mtu| provider.config(mtu).unwrap();
        let first = config(Some(1_150));
        assert!(Arc::ptr_eq(&first, &config(Some(1_150))));
        assert!(Arc::ptr_eq(&first, &config(None)), "no wish is no other wish");
        assert_eq!(config(Some(900)).mtu(), 900);
        assert!(Arc::ptr_eq(&first, &config(Some(1_150))), "the first one stays");
    }

    #[test]
    fn a_handshake_is_tried_as_long_as_a_session_may_shake_hands() {
        let last = FLIGHT_TIMEOUT * (2_u32.pow(FLIGHT_RETRIES as u32 + 1) - 1);
        assert!(last > crate::core::limits::HANDSHAKE_TIMEOUT);
    }
}
